# Prints the user's state directory, and "there" when the whole package is on the host.
# needs: engine/host.sh component/package/stamp.sh
echo "state=$OB_STATE"
(
  [ -f "$d/.placed" ] || exit 3
  while [ $# -gt 0 ]; do
    s=$(st "$4") || exit 3
    if ! grep -qxF -- "$1 $s $4" "$d/.placed"; then
      case $s in "$2 "*" $3 "*) ;; *) exit 3 ;; esac
      [ "$(hash "$4")" = "$1" ] || exit 3
    fi
    shift 4
  done
) >/dev/null 2>&1 && echo there
:
