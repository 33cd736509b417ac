# Prints each object of ours in the home of the user who runs this: key, directory, gate and mark.
# needs: engine/host.sh
for d in "$OB_STATE"/objects/*/; do
  [ -e "$d/home" ] || continue
  k=${d%/}; k=${k##*/}
  read -r b < "$d/home"
  printf 'object=%s\nbase=%s\nmark=%s\n' "$k" "$b" "$(cat "$b/.ob/mark" 2>/dev/null)"
  # A gate that cannot be read may be held.
  (ob_peek "$k") 2>/dev/null || echo live=1
done
:
