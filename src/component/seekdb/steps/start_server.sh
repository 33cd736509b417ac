# Starts the server, unless it runs or is being started. HOW is alone, member, again, or join, which
# starts a standby of SOURCE on the new store of its build. BASE HOW [SOURCE]
# needs: engine/host.sh component/seekdb/lib.sh
how=$2
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
case $how in
  alone)
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
    [ ! -e "$own/building" ] || rm -rf "${base:?}/store" "${base:?}/etc" "${base:?}/run"
    set -- --role STANDBY --parameter "log_restore_source=$3" ;;
esac
[ "$how" = join ] || set --
mkdir -p "$base/log"
rc=0
cd / && "$own/start" "$@" </dev/null >"$own/start.log" 2>&1 || rc=$?
sdb_settle
# The exit status proves nothing when a server of this directory runs.
[ $rc = 0 ] || [ -n "$(sdb_pid)" ] || { tail -n 5 "$own/start.log" >&2; exit $rc; }
