# Removes notes. BASE NAME...
# needs: engine/host.sh component/seekdb/lib.sh
shift
for f in "$@"; do rm -f "$own/$f" || exit 1; done
sync "$own"
