# Ends the process of a server whose fence is noted. BASE
# needs: engine/host.sh component/seekdb/lib.sh
[ -e "$own/fenced" ] || { echo 'it is not noted as fenced' >&2; exit 1; }
sdb_end 0
