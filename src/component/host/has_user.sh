# Says yes when USER is another user than the one who runs this, and exists. USER
# needs: engine/host.sh
[ "$(id -un)" != "$1" ] && id "$1" >/dev/null 2>&1 && echo yes
:
