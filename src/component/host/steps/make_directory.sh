# Makes a directory, or gives an empty one of root's to OWNER; an empty OWNER means the login user.
# Root acts only where nobody else can swap the directory. PATH OWNER MODE
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
p=$1 owner=${2:-$(id -un)} mode=$3
only_root "$p" || exit 1
if [ ! -d "$p" ]; then
  q=$(dirname "$p")
  set -- "$p"
  while [ ! -d "$q" ]; do
    ob_note "parent.$q" made || exit 1
    set -- "$q" "$@"
    q=$(dirname "$q")
  done
  ob_note "dir.$p" made || exit 1
  # One at a time: mkdir without -p follows no link.
  for q in "$@"; do root mkdir "$q" || exit 1; done
  only_root "$p" || exit 1
elif ! ob_noted "dir.$p" >/dev/null; then
  ob_note "dir.$p" "was $(stat -c '%U %04a' "$p")" || exit 1
fi
[ "$(stat -c %U "$p")" = "$owner" ] || root chown -h "$owner" "$p" || exit 1
[ "$(stat -c %04a "$p")" = "$mode" ] || root chmod "$mode" "$p"
