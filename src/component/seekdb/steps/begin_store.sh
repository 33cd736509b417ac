# Notes that a store is being built from SOURCE, and removes what a former attempt of the build
# left. The note precedes the first byte of the store. A store without the note is never wiped here.
# BASE SOURCE
# needs: engine/host.sh component/seekdb/lib.sh
if [ -e "$own/building" ]; then
  sdb_end 0 || exit 1
  rm -rf "${base:?}/store" "${base:?}/etc" "${base:?}/run" "$base/log"
elif [ -n "$(sdb_pid)" ] || [ -d "$base/store/redo" ]; then
  echo 'there is a server or a store that this build did not make' >&2
  exit 1
fi
printf %s "$2" | ob_put "$own/building"
