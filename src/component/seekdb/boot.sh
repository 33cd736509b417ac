# Functions about what starts an instance with its host: UNIT, which is an instance of ob@.service
# or a file of its own with the same text; the unit of former versions, whose name was FORMER; or
# LINE in the run user's crontab. A directory that no unit can name has an empty UNIT.
# needs: engine/host.sh transport/only_root.sh component/seekdb/lib.sh
units=/etc/systemd/system
unit=$2 former=$3 line=$4

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
# Whether a file of the name UNIT is ours, or somebody else's.
boot_own() { boot_runs "$units/$unit" '/%I/.ob/start'; }
boot_foreign() { { [ -e "$units/$unit" ] || [ -L "$units/$unit" ]; } && ! boot_own; }
# Whether a unit of the name FORMER starts this instance; another object of that name may have it.
boot_former() { boot_runs "$units/$former" "$base/.ob/start"; }
# Whether the host starts UNIT when it boots: the link that `systemctl enable` makes says so. UNIT
boot_enabled() {
  for boot_l in "$units"/*.wants/"$1" "$units"/*.requires/"$1"; do
    [ -L "$boot_l" ] && return 0
  done
  return 1
}
# Whether UNIT runs our start script: its own file does, or the template that root installed.
boot_works() { boot_own || { ! boot_foreign && boot_runs "$units/ob@.service" '/%I/.ob/start'; }; }

# Prints the crontab of the user who runs this. Fails if there is one that cannot be read.
boot_crontab() {
  crontab -l 2>/dev/null && return
  boot_l=$(crontab -l 2>&1 >/dev/null)
  case $boot_l in *'no crontab'*|*'No such file'*) return 0 ;; esac
  echo "the crontab cannot be read: $boot_l" >&2
  return 1
}

# Removes UNIT: its link, and its file if it is one of ours. UNIT FILE
boot_remove() {
  root systemctl disable "$1" || return 1
  [ -z "$2" ] || { only_root "$2" && root rm -f "$2" && root systemctl daemon-reload; }
}
# Removes the unit of the former name if it starts this instance.
boot_remove_former() { ! boot_former || boot_remove "$former" "$units/$former"; }
# Removes LINE from the crontab. No other line is touched.
boot_remove_line() {
  command -v crontab >/dev/null || return 0
  boot_t=$(boot_crontab) || return 1
  printf '%s\n' "$boot_t" | grep -qxF -e "$line" || return 0
  boot_t=$(printf '%s\n' "$boot_t" | grep -vxF -e "$line")
  if [ -n "$boot_t" ]; then printf '%s\n' "$boot_t" | crontab -; else crontab -r; fi
}
