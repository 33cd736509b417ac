# Prints the journal FILE. Arguments: FILE
# needs: engine/host.sh
cat "$OB_STATE/objects/$1" 2>/dev/null
:
