# Replaces the mark. BASE KEY MARK
# needs: engine/host.sh component/seekdb/lib.sh
sdb_mark "$2" "$3"
