# Removes our own files, the mark last, and then the directory if it is empty. With ASIDE=1 also
# removes the stores that were set aside; otherwise these stay, and with them the directory.
# BASE KEY ASIDE
# needs: engine/host.sh component/seekdb/lib.sh
[ "$3" = 0 ] || rm -rf "$own/aside"
for f in "$own"/*; do
  case ${f##*/} in mark|aside) ;; *) rm -rf "$f" ;; esac
done
rmdir "$own/aside" 2>/dev/null
# Who comes later is told that it was removed, and is not only not there. The note of the directory
# goes before the mark: a note without a mark means a directory that is
# missing, not one that was removed.
: > "$OB_STATE/objects/$2/gone" && rm -f "$OB_STATE/objects/$2/home" && rm -f "$own/mark"
rmdir "$own" 2>/dev/null && rmdir "$base" 2>/dev/null
:
