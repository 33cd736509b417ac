# Removes the database, with its rows. BASE
# needs: engine/host.sh component/seekdb/lib.sh
[ -z "$(sdb_pid)" ] || { echo 'the server runs' >&2; exit 1; }
rm -rf "${base:?}/store" "${base:?}/etc" "$base/log" "${base:?}/run"
