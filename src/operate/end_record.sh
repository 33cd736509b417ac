# Appends LINE to the journal FILE. Arguments: FILE LINE
# needs: engine/host.sh
ob_journal "$1" "$2"
