# Sets kernel settings by our file. NOTES are lines "key value" for the record and are written
# first. BOTH is the file including what is set back. FILE_TEXT is the file as it stays; empty
# removes it. FORGET lists the keys whose notes are removed. FILE NOTES BOTH FILE_TEXT FORGET
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
file=$1
only_root "$file" || exit 1
printf %s "$2" | {
  while read -r k v; do ob_note "sysctl.$k" "$v" || exit 1; done
} || exit 1
if [ -n "$3" ]; then
  printf %s "$3" | root tee "$file" >/dev/null && root sysctl -p "$file" >/dev/null || exit 1
fi
if [ -z "$4" ]; then root rm -f "$file" || exit 1
elif [ "$3" != "$4" ]; then printf %s "$4" | root tee "$file" >/dev/null || exit 1; fi
printf %s "$5" | {
  while read -r k; do ob_forget "sysctl.$k" || exit 1; done
}
