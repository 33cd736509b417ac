# Prints everything that is to be removed when the object LEAVING goes. LEAVING
# needs: engine/host.sh component/seekdb/steps/unused.sh
unused_packages "$1" || exit 0
loose_files
empty_directories
:
