# Ends the process of a server that is noted as fenced. BASE
[ -e "$own/fenced" ] || { echo 'it is not noted as fenced' >&2; exit 1; }
sdb_end 0
