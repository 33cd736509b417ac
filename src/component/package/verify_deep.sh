# Prints the names of files that are missing or differ. Hashes every file, whatever the stamps say.
# needs: engine/host.sh component/package/stamp.sh
while [ $# -gt 0 ]; do
  ok=0
  s=$(st "$4") && case $s in
    "$2 "*" $3 "*) [ "$(hash "$4")" = "$1" ] && ok=1 ;;
  esac
  [ $ok = 1 ] || printf 'bad=%s\n' "$4"
  shift 4
done
:
