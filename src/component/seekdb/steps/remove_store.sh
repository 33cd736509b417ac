# Removes the database, with its rows. BASE
[ -z "$(sdb_pid)" ] || { echo 'the server runs' >&2; exit 1; }
rm -rf "${base:?}/store" "${base:?}/etc" "$base/log" "${base:?}/run"
