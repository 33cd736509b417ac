# Prints the user who runs this, and "gate" when the object KEY has one in its home. KEY
# needs: engine/host.sh
id -un
[ ! -e "$OB_STATE/objects/$1/gate" ] || echo gate
:
