# needs: transport/files/lib.sh
# Takes one file from stdin into the cache if it is what was declared.
cache=$1 key=$2 partial=$3 size=$4
sha=${key%%-*} mode=${key##*-}
(
  # The trap also removes the partial file when the stream is cut: `cat` then sees the end of its
  # input, and the digest is wrong.
  trap 'rm -f -- "$partial"' EXIT
  trap 'exit 1' HUP INT TERM
  ob_ready
  cat >"$partial"
  # The digest is of what was written, not of what came in. Reading the file again costs less than a
  # second pipe for all of it.
  digest=$(hash <"$partial")
  length=$(stat -c %s -- "$partial" 2>/dev/null)
  echo "digest=$digest"
  echo "size=$length"
  stat -f -c 'available=%a %S' -- "$cache"
  [ "$length" = "$size" ] && [ "$digest" = "$sha" ] || exit 3
  chmod "$mode" -- "$partial" && { sync -- "$partial" || sync; } || exit 4
  exec 5<"$cache" && flock -w 50 5 || exit 4
  mv -f -- "$partial" "$cache/$key" && sync -- "$cache" || exit 4
  note "$cache/$key" "$cache/$key.stamp"
)
