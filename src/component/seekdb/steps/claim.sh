# Writes an instance's first mark, and before it the note NOTE, if given. If there is a mark
# already, it stays, and the check after this says whose it is. BASE KEY MARK [NOTE]
# needs: engine/host.sh component/seekdb/lib.sh
[ ! -e "$own/mark" ] || exit 0
if [ -n "${4:-}" ]; then mkdir -p "$own" && : > "$own/$4" || exit 1; fi
sdb_mark "$2" "$3" && chmod 700 "$own"
