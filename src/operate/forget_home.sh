# Forgets that a server of ours was made in DIRECTORY. Arguments: KEY DIRECTORY
# needs: engine/host.sh
[ ! -e "$2/.ob/mark" ] || { echo "$2/.ob/mark is there" >&2; exit 1; }
: > "$OB_STATE/objects/$1/gone" && rm -f "$OB_STATE/objects/$1/home"
