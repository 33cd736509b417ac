# Replaces the mark. BASE KEY MARK
sdb_mark "$2" "$3"
