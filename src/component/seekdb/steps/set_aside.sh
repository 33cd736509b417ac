# Moves the store aside as NAME. It goes into a temporary name first, so that a move that was cut is
# taken up again; the final name says that all of it is there. BASE NAME
# needs: engine/host.sh component/seekdb/lib.sh
[ -z "$(sdb_pid)" ] || { echo 'the server runs' >&2; exit 1; }
aside=$own/aside/$2 part=$own/aside/$2.part
[ ! -e "$aside" ] || exit 0
mkdir -p "$part" || exit 1
for d in store etc run log; do
  [ ! -e "$base/$d" ] || mv "$base/$d" "$part/" || exit 1
done
mv -T "$part" "$aside" && sync "$own/aside"
