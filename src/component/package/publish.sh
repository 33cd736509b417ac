# Notes the package as whole.
# needs: engine/host.sh component/package/stamp.sh
chmod 700 "$OB_STATE/packages" "$OB_STATE/cache" || exit 1
lines=$(
  while [ $# -gt 0 ]; do
    s=$(st "$4") || { echo "$d/$4 is missing" >&2; exit 1; }
    grep -qxF -- "$s $d/$4" "$OB_STATE/cache/$1-$3.stamp" 2>/dev/null ||
      [ "$(hash "$4")" = "$1" ] ||
      { echo "$d/$4 was changed by somebody: its sha256 is not $1" >&2; exit 1; }
    printf '%s %s %s\n' "$1" "$s" "$4"
    shift 4
  done
) || exit 1
exec 5<"$OB_STATE/cache" && flock -w 50 5 || exit 1
printf '%s\n' "$lines" | ob_put "$d/.placed"
