# Makes a directory, or gives an empty one of root's to OWNER; an empty OWNER means the login user.
# PATH OWNER MODE
# needs: engine/host.sh component/host/record.sh
p=$1 owner=${2:-$(id -un)} mode=$3
if [ ! -d "$p" ]; then
  q=$(dirname "$p")
  while [ ! -d "$q" ]; do ob_note "parent.$q" made || exit 1; q=$(dirname "$q"); done
  ob_note "dir.$p" made && root mkdir -p "$p" || exit 1
elif ! ob_noted "dir.$p" >/dev/null; then
  ob_note "dir.$p" "was $(stat -c '%U %04a' "$p")" || exit 1
fi
[ "$(stat -c %U "$p")" = "$owner" ] || root chown "$owner" "$p" || exit 1
[ "$(stat -c %04a "$p")" = "$mode" ] || root chmod "$mode" "$p"
