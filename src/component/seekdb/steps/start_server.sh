# Starts the server, unless it runs or is being started: by its unit where we may use one, so that
# it is no part of the session that asks for it. A unit that is written here is not enabled. HOW is
# alone, member, again, or join, which starts a standby of SOURCE on the new store of its build.
# BASE UNIT FORMER LINE TEXT HOW [SOURCE]
# needs: engine/host.sh transport/only_root.sh component/seekdb/lib.sh component/seekdb/boot.sh
text=$5 how=$6 source=$7
sdb_settle
[ -z "$(sdb_pid)" ] || exit 0
# Each file of the package is as it was when its digest was right, by its stamp or by its digest.
whole() {
  export TZ=UTC
  while read -r sum rest; do
    f=$own/package/${rest##* }
    [ "$rest" = "$(stat -c '%s %i %a %y %z' -- "$f") ${rest##* }" ] ||
      [ "$(sha256sum < "$f" | cut -c1-64)" = "$sum" ] || return 1
  done < "$own/package/.placed"
}
whole 2>/dev/null || {
  echo 'its package is lost or changed: the next apply of its ob_cluster places it again' >&2
  exit 1
}
rm -f "$own/new"
case $how in
  alone)
    # Only a create makes a store. One that is gone since may be on a disk that is not mounted.
    [ -d "$base/store/redo" ] || grep -q '"stage":"building"' "$own/mark" || {
      echo 'its store is gone: its disk may not be mounted; no other one is made' >&2
      exit 1
    }
    # A first start that was cut (full disk, power loss) leaves a store on which no server ever
    # starts again (-4015 on 1.4.0.post1). Such a store is wiped if the object is still being built,
    # no later step has begun, and its only log is empty or says that no start ever completed. Then
    # no client was ever served, and the store holds no row.
    log=$base/log/seekdb.log
    if [ ! -e "$base/store" ]; then : > "$own/fresh"
    elif [ -e "$own/fresh" ] && [ ! -e "$own/account" ] &&
      grep -q '"stage":"building"' "$own/mark" &&
      [ "$(find "$base/log" -name 'seekdb.log*' | wc -l)" = 1 ]; then
      if [ ! -s "$log" ] || { grep -qaE 'server_start [0-9]+/[0-9]+\]' "$log" &&
        ! grep -qa 'observer start success' "$log"; }; then
        rm -rf "${base:?}/store" "${base:?}/etc" "${base:?}/run" "$base/log"
      fi
    fi ;;
  join)
    # A former attempt left an unusable store; only the note of a build allows to wipe it.
    [ ! -e "$own/building" ] || rm -rf "${base:?}/store" "${base:?}/etc" "${base:?}/run" ;;
esac
set --
[ "$how" != join ] || set -- --role STANDBY --parameter "log_restore_source=$source"
boot_choose || exit 1
if grep -qF .ob/new "$own/start"; then
  # The start script makes a new store only once, and by these arguments.
  case $how in
    alone|join)
      [ -d "$base/store/redo" ] || { for a in "$@"; do printf '%s\n' "$a"; done; } |
        ob_put "$own/new" || exit 1 ;;
  esac
  set --
else
  # A script of a former version takes arguments from nobody but its caller.
  boot_by=''
fi
mkdir -p "$base/log"
rc=0
if [ -n "$boot_by" ]; then
  boot_write "$text" || exit 1
  boot_ctl start "$unit" >"$own/start.log" 2>&1 || rc=$?
else
  if boot_session_ends_all; then
    echo "no unit may start it, and this host ends with a session what it started" \
      "(KillUserProcesses=yes): an administrator runs loginctl enable-linger $me, or installs the" \
      "unit and the rights that ob sudoers --narrow prints" >&2
    exit 1
  fi
  cd / && "$own/start" "$@" </dev/null >"$own/start.log" 2>&1 || rc=$?
fi
sdb_settle
# The exit status proves nothing when a server of this directory runs.
if [ $rc != 0 ] && [ -z "$(sdb_pid)" ]; then
  [ -z "$boot_by" ] || boot_said >> "$own/start.log"
  # A server that began and ended by itself is no error of the start: its own log tells more.
  [ -n "$boot_by" ] && boot_began || { tail -n 9 "$own/start.log" >&2; exit $rc; }
fi
