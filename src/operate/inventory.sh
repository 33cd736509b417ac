# Prints this host's clock and every object of ours: gate, directory, mark and group note.
# needs: engine/host.sh
echo "now=$(date +%s)"
cd "$OB_STATE/objects" 2>/dev/null || exit 0
for d in *; do
  [ -d "$d" ] || continue
  printf 'ob-object %s\n' "$d"
  # A gate that cannot be read may be held, so it counts as live.
  (ob_peek "$d") 2>/dev/null || echo live=1
  [ -r "$d/home" ] && IFS= read -r h < "$d/home" || continue
  printf 'home=%s\n' "$h"
  for f in mark group; do
    [ -e "$h/.ob/$f" ] && { IFS= read -r l < "$h/.ob/$f"; printf '%s=%s\n' "$f" "$l"; }
  done
done
:
