# Functions about what starts an instance, at boot and before: UNIT, which is an instance of
# ob@.service or a file of its own with the same text, of the system's manager or of the run user's
# own; the unit of former versions, whose name was FORMER; or LINE in the run user's crontab. A
# directory that no unit can name has an empty UNIT.
# needs: engine/host.sh transport/only_root.sh component/seekdb/lib.sh
units=/etc/systemd/system template=/etc/systemd/system/ob@.service
own_units=${OB_STATE%/.ob}/.config/systemd/user
unit=$2 former=$3 line=$4 me=$(id -un)

# Whether FILE is a unit that runs START and nothing else. FILE START
boot_runs() {
  [ -f "$1" ] && [ ! -L "$1" ] || return 1
  boot_start=''
  while IFS= read -r boot_l; do
    case $boot_l in
      "ExecStart=$2") boot_start=1 ;;
      Exec*) return 1 ;;
    esac
  done < "$1"
  [ -n "$boot_start" ]
}
# Whether a file of the name UNIT in DIRECTORY is ours, or somebody else's. DIRECTORY
boot_own() { boot_runs "$1/$unit" '/%I/.ob/start'; }
boot_foreign() { { [ -e "$1/$unit" ] || [ -L "$1/$unit" ]; } && ! boot_own "$1"; }
# Whether a unit of the name FORMER starts this instance; another object of that name may have it.
boot_former() { boot_runs "$units/$former" "$base/.ob/start"; }
# Whether a boot starts UNIT: the link that `systemctl enable` makes says so. DIRECTORY UNIT
boot_enabled() {
  for boot_l in "$1"/*.wants/"$2" "$1"/*.requires/"$2"; do
    [ -L "$boot_l" ] && return 0
  done
  return 1
}
# Whether UNIT runs our start script: its own file does, or the template that root installed.
boot_works() {
  boot_own "$units" || { ! boot_foreign "$units" && boot_runs "$template" '/%I/.ob/start'; }
}

# Whether root runs this, or may run the command by sudo. COMMAND...
boot_may() { [ "$(id -u)" = 0 ] || sudo -n -l -- "$@" >/dev/null 2>&1; }
# Whether the template starts servers as this user, and only root could have written it.
boot_template() {
  boot_runs "$template" '/%I/.ob/start' && grep -qxF "User=$me" "$template" &&
    [ "$(stat -c %U "$template")" = root ] && only_root "$template"
}
# Whether the run user has a manager that lives without a login. Who wants none, or wants cron, does
# not let it linger.
boot_lingers() {
  [ "$(id -u)" != 0 ] && [ -e "/var/lib/systemd/linger/$me" ] &&
    [ -S "/run/user/$(id -u)/systemd/private" ]
}

# Sets boot_by to the manager that starts the instance, system or user, and boot_file to the unit's
# file. Leaves both empty where we may use none. Fails where the unit is somebody else's.
boot_choose() {
  boot_by='' boot_file=''
  [ -n "$unit" ] && [ -d /run/systemd/system ] || return 0
  boot_d=$units
  if ! boot_foreign "$units"; then
    if boot_template && boot_may systemctl enable "$unit"; then boot_by=system boot_file=$template
    elif boot_may tee "$units/$unit"; then boot_by=system boot_file=$units/$unit; fi
    [ -z "$boot_by" ] || return 0
    boot_lingers || return 0
    boot_d=$own_units
    boot_foreign "$own_units" || { boot_by=user boot_file=$own_units/$unit; return 0; }
  fi
  echo "$boot_d/$unit is somebody else's, or a link" >&2
  return 1
}
# Runs systemctl for the manager boot_by. ARGUMENT...
boot_ctl() {
  if [ "$boot_by" = system ]; then root systemctl "$@"; else boot_user "$@"; fi
}
boot_user() { XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user "$@"; }
# Prints TEXT as the unit's file has it: with the object and its owner in the description. A user's
# manager knows no other users, no network and no mounts. TEXT
boot_text() {
  boot_o=$(sed -n 's/.*"owner":"\([A-Za-z0-9_.-]*\)".*/\1/p' "$own/mark" 2>/dev/null)
  boot_l=${former#ob-}
  boot_o=${boot_o:+s/^Description=/&${boot_l%.service} of $boot_o: /}
  if [ "$boot_by" = system ]; then printf %s "$1" | sed -e "$boot_o" -e "s/RUN_USER/$me/"
  else
    printf %s "$1" | sed -e "$boot_o" -e '/^User=/d' -e '/^RequiresMountsFor=/d' \
      -e '/network-online/d' -e s/multi-user.target/default.target/
  fi
}
# Writes TEXT as the unit's file, unless that is the template, or is right already. TEXT
boot_write() {
  [ "$boot_file" != "$template" ] || return 0
  [ "$(cat "$boot_file" 2>/dev/null)" != "$(boot_text "$1")" ] || return 0
  if [ "$boot_by" = system ]; then
    # Everybody may read a unit, the user who runs its server too.
    (umask 022 && only_root "$boot_file" &&
      boot_text "$1" | root tee "$boot_file" >/dev/null) || return 1
  else
    (ob_turn; mkdir -p "$own_units" && boot_text "$1" | ob_put "$boot_file") || return 1
  fi
  boot_ctl daemon-reload
}

# Sets boot_by to the manager in whose unit the server is; leaves it empty when it is in none.
boot_of_server() {
  boot_by=''
  sdb_find
  [ -n "$unit" ] && [ -n "$sdb_p" ] || return 0
  while IFS= read -r boot_l; do
    case $boot_l in
      */user@*.service/*"/$unit") boot_by=user ;;
      *"/$unit") boot_by=system ;;
    esac
  done < "/proc/$sdb_p/cgroup"
}
# Stops the server by its unit, if it is in one and we may.
boot_stop() {
  boot_of_server
  case $boot_by in
    system) boot_may systemctl stop "$unit" || return 0 ;;
    user) boot_lingers || return 0 ;;
    *) return 0 ;;
  esac
  boot_ctl stop "$unit"
  ! boot_show is-failed -q "$unit" || boot_ctl reset-failed "$unit"
}
# Prints what the manager boot_by says of the last start. Reading needs no right.
boot_show() {
  if [ "$boot_by" = system ]; then systemctl "$@"; else boot_user "$@"; fi
}
boot_said() { boot_show status --no-pager -n 5 -o cat "$unit" 2>&1 | tail -n 9; }
# Whether the start script of the last start did its work.
boot_began() {
  case $(boot_show show -p ExecStart "$unit" 2>/dev/null) in
    *'code=exited ; status=0 '*) return 0 ;;
  esac
  return 1
}

# Whether the host ends whatever a session of the run user leaves behind.
boot_session_ends_all() {
  [ -d /run/systemd/system ] && command -v busctl >/dev/null || return 1
  boot_l=$(busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
    org.freedesktop.login1.Manager KillUserProcesses KillExcludeUsers 2>/dev/null) || return 1
  case $boot_l in *"\"$me\""*) return 1 ;; 'b true'*) return 0 ;; esac
  return 1
}

# Prints the crontab of the user who runs this. Fails if there is one that cannot be read.
boot_crontab() {
  crontab -l 2>/dev/null && return
  boot_l=$(crontab -l 2>&1 >/dev/null)
  case $boot_l in *'no crontab'*|*'No such file'*) return 0 ;; esac
  echo "the crontab cannot be read: $boot_l" >&2
  return 1
}

# Removes UNIT of the system: its link, and its file if it is one of ours. UNIT FILE
boot_remove() {
  root systemctl disable "$1" || return 1
  [ -z "$2" ] || { only_root "$2" && root rm -f "$2" && root systemctl daemon-reload; }
}
# Removes the unit of the run user's own manager, which need not run.
boot_remove_user() {
  boot_own "$own_units" || return 0
  rm -f "$own_units"/*.wants/"$unit" "$own_units/$unit" || return 1
  (ob_turn; rmdir "$own_units"/*.wants "$own_units" 2>/dev/null)
  ! boot_lingers || boot_user daemon-reload
}
# Removes the unit of the former name if it starts this instance.
boot_remove_former() { ! boot_former || boot_remove "$former" "$units/$former"; }
# Adds LINE to the crontab, once. No other line is touched.
boot_add_line() (
  ob_turn
  boot_t=$(boot_crontab) || return 1
  {
    [ -z "$boot_t" ] || printf '%s\n' "$boot_t" | grep -vxF -e "$line"
    printf '%s\n' "$line"
  } | crontab -
)
# Removes LINE from the crontab. No other line is touched.
boot_remove_line() (
  command -v crontab >/dev/null || return 0
  ob_turn
  boot_t=$(boot_crontab) || return 1
  printf '%s\n' "$boot_t" | grep -qxF -e "$line" || return 0
  boot_t=$(printf '%s\n' "$boot_t" | grep -vxF -e "$line")
  if [ -n "$boot_t" ]; then printf '%s\n' "$boot_t" | crontab -; else crontab -r; fi
)
