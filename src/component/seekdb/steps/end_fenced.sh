# Ends the process of a server that is noted as fenced. BASE
# needs: engine/host.sh component/seekdb/lib.sh
[ -e "$own/fenced" ] || { echo 'it is not noted as fenced' >&2; exit 1; }
sdb_end 0
