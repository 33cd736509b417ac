# Prints the stores that were set aside in DIRECTORY: "store=NAME KIB CHANGED" for each that is a
# directory of the user who runs this. A line has one name, so names with odd characters are left
# out. Prints "rest" when a removal was cut. Arguments: DIRECTORY
cd "$1/.ob/aside" 2>/dev/null || exit 0
for f in *; do
  # shellcheck disable=SC3067 # Every sh that we meet has -O: dash, bash, busybox.
  [ -d "$f" ] && [ ! -L "$f" ] && [ -O "$f" ] || continue
  case $f in *[!A-Za-z0-9._-]*) continue ;; esac
  size=$(timeout 20 du -sk "$f" 2>/dev/null) || size=0
  printf 'store=%s %s %s\n' "$f" "${size%%[!0-9]*}" "$(stat -c %Y "$f")"
done
for f in .removed.*; do [ ! -e "$f" ] || echo rest; done
:
