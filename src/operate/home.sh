# Prints the user who runs this script, and "gate" if the object KEY has a gate in that user's home.
# Arguments: KEY
# needs: engine/host.sh
id -un
[ ! -e "$OB_STATE/objects/$1/gate" ] || echo gate
:
