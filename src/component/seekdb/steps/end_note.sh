# Removes notes. BASE NAME...
shift
for f in "$@"; do rm -f "$own/$f" || exit 1; done
sync "$own"
