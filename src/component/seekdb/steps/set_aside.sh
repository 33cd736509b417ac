# Moves the store aside as NAME. It goes into a temporary name first, so that a move that was cut is
# taken up again; the final name says that all of it is there. With AGAIN another store may have
# been set aside by that name, and this one gets a number behind it. BASE NAME [AGAIN]
# needs: engine/host.sh component/seekdb/lib.sh
[ -z "$(sdb_pid)" ] || { echo 'the server runs' >&2; exit 1; }
aside=$own/aside/$2 part=$own/aside/$2.part n=1
if [ -z "$3" ]; then [ ! -e "$aside" ] || exit 0
else [ -e "$base/store" ] || [ -e "$part" ] || exit 0
fi
mkdir -p "$part" || exit 1
for d in store etc run log; do
  [ ! -e "$base/$d" ] || mv "$base/$d" "$part/" || exit 1
done
while [ -e "$aside" ]; do n=$((n + 1)) aside=$own/aside/$2-$n; done
mv -T "$part" "$aside" && sync "$own/aside"
