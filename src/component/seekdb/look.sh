# Prints the facts of an instance. Each process that it starts costs a host a millisecond, so it
# starts few. BASE KEY PORT UNIT
# needs: engine/host.sh component/seekdb/lib.sh
port=$3 unit=$4
while read -r k v _; do
  case $k in MemTotal:) echo "memory=${v}K"; break ;; esac
done < /proc/meminfo
[ -e "$OB_STATE/objects/$2/home" ] && echo known=1
[ -e "$OB_STATE/objects/$2/gone" ] && echo gone=1
if [ -d "$base" ]; then
  echo exists=1
  empty=1 lost='' strays=0
  for f in "$base"/* "$base"/.[!.]* "$base"/..?*; do
    [ -e "$f" ] || [ -L "$f" ] || continue
    case ${f##*/} in
      .ob) empty='' ;;
      store|etc|log|run) empty='' ; echo data=1 ;;
      lost+found) lost=1 ;;
      *)
        empty='' strays=$((strays + 1))
        [ $strays -le 10 ] || continue
        # A line of the answer has one name, whatever the name holds.
        case ${f##*/} in
          *[[:cntrl:]]*) echo "stray.$strays=(a name with control characters)" ;;
          *) printf 'stray.%s=%s\n' "$strays" "${f##*/}" ;;
        esac ;;
    esac
  done
  [ -n "$empty" ] && { [ -n "$lost" ] || [ ! -w "${base%/*}/" ] || mountpoint -q "$base"; } &&
    echo stays=1
fi
if [ -d "$base/store/redo" ]; then
  echo store=1
  for m in $(stat -c %a "$base/store" "$base/etc" "$base/log" "$base/run" "$own" \
    "$own/account" "$own/root" 2>/dev/null); do
    case $m in *00) ;; *) echo exposed=1; break ;; esac
  done
fi
if [ -d "$own" ]; then
  set --
  for f in mark building group loss restart fenced rotated rotating adopting; do
    [ -e "$own/$f" ] || continue
    echo "has.$f=1"
    [ "$f" = adopting ] || set -- "$@" "$f"
  done
  for f in "$own"/aside/*; do [ -e "$f" ] && echo "aside.${f##*/}=1"; done
  if [ -s "$own/account" ]; then
    { read -r a; read -r n; } < "$own/account"
    printf 'account=%s\n' "$a"
    [ -z "$n" ] || printf 'account.next=%s\n' "$n"
  fi
  # Prints each line after the name of its file: "mark:{…". None of ours is longer than this.
  [ $# = 0 ] ||
    (cd "$own" && exec awk 'FNR <= 99 { print FILENAME ":" substr($0, 1, 65536) }' "$@")
  if l=$(readlink "$own/package"); then
    echo "package=${l##*/}"
    [ -x "$own/package/seekdb" ] || echo package.lost=1
  fi
  [ -e "$own/start" ] && echo "start=$(cksum < "$own/start")"
fi
sdb_find
if [ -n "$sdb_p" ]; then
  for l in $(sdb_listeners "$port"); do echo "listener.$l=1"; done
  p=$sdb_p
  ob_boot
  # shellcheck disable=SC2086 # The fields of the line.
  set -- $sdb_s
  echo "pid=$p"
  echo "process=$p ${20} $ob_boot"
  x=$(readlink "/proc/$p/exe"); x=${x%/seekdb*}; echo "running=${x##*/}"
  echo "command=$(tr '\0' ' ' < "/proc/$p/cmdline" 2>/dev/null)"
elif [ -n "$unit" ] && [ -d /run/systemd/system ]; then
  # A server whose unit is ours and which nothing starts at a boot, or whose unit was asked to stop
  # before its process ended, is down because somebody wants it so. After a crash the process ends
  # first.
  mine=${OB_STATE%/.ob}/.config/systemd/user
  boots() {
    for l in /etc/systemd/system/*.wants/"$unit" /etc/systemd/system/*.requires/"$unit" \
      "$mine"/*.wants/"$unit" "$mine"/*.requires/"$unit"; do
      [ -L "$l" ] && return
    done
    crontab -l 2>/dev/null | {
      while IFS= read -r l; do case $l in '#'*) ;; *":$base") exit 0 ;; esac; done
      exit 1
    }
  }
  held() {
    f=$2/$1
    [ -e "$f" ] || { f=$2/ob@.service && grep -qxF "User=$(id -un)" "$f" 2>/dev/null; } || f=''
    if [ -f "$f" ] && grep -qxF 'ExecStart=/%I/.ob/start' "$f"; then
      boots || { echo "held=$3,disabled"; return; }
    fi
    manager --no-pager show -p ActiveState -p ActiveExitTimestampMonotonic \
      -p ExecMainExitTimestampMonotonic -- "$1" 2>/dev/null | awk -F= -v "by=$3" '{ v[$1] = $2 }
        END { if (v["ActiveState"] ~ /^(inactive|failed)$/ &&
          v["ActiveExitTimestampMonotonic"] + 0 > 0 &&
          v["ActiveExitTimestampMonotonic"] + 0 < v["ExecMainExitTimestampMonotonic"] + 0)
          print "held=" by }'
  }
  manager() { systemctl "$@"; }
  held "$unit" /etc/systemd/system system
  u=$(id -u)
  if [ -S "/run/user/$u/systemd/private" ]; then
    manager() { XDG_RUNTIME_DIR=/run/user/$u systemctl --user "$@"; }
    held "$unit" "$mine" user
  fi
fi
:
