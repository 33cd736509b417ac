# Writes an instance's first mark, and before it the note NOTE if there is one. A mark that is there
# meanwhile stays: whose it is, the check after this says. BASE KEY MARK [NOTE]
# needs: engine/host.sh component/seekdb/lib.sh
[ ! -e "$own/mark" ] || exit 0
if [ -n "${4:-}" ]; then mkdir -p "$own" && : > "$own/$4" || exit 1; fi
sdb_mark "$2" "$3" && chmod 700 "$own"
