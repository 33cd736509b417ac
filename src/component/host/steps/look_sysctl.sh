# Prints our file of kernel settings, and the value of each setting that is asked for or noted.
# FILE KEY...
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
ob_record
file=$1
w=$(only_root "$file" 2>&1) || printf 'unsafe=%s\n' "$w"
shift
while read -r k v _; do [ "$k" = MemTotal: ] && printf 'memory=%s\n' "$v"; done < /proc/meminfo
[ ! -e "$file" ] || sed 's/^/file./' "$file"
{
  [ $# = 0 ] || printf '%s\n' "$@"
  [ ! -e "$made" ] || sed -n 's/^sysctl\.\([^=]*\)=.*/\1/p' "$made"
} | while IFS= read -r k; do
  f=/proc/sys/$(echo "$k" | tr . /)
  [ -r "$f" ] || continue
  printf 'now.%s=%s\n' "$k" "$(cat "$f" 2>/dev/null)"
  case $(stat -c %A "$f") in ??-*) printf 'fixed.%s=1\n' "$k" ;; esac
done
:
