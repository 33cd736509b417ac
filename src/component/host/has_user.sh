# Prints "yes" when USER exists and is not the user who runs this. USER
# needs: engine/host.sh
[ "$(id -un)" != "$1" ] && id "$1" >/dev/null 2>&1 && echo yes
:
