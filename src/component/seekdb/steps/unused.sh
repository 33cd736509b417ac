# Functions that print what no instance on the host starts from, not counting the object LEAVING.
# needs: engine/host.sh

# Prints the unused package directories: no other instance links to them and no process runs from
# them. Prints none and fails while an instance that has no package yet is being made: it may be
# about to use a package that is there already.
unused_packages() (
  used=' '
  for h in "$OB_STATE"/objects/*/home; do
    [ -e "$h" ] || continue
    case $h in */"$1"/home) continue ;; esac
    read -r b < "$h"
    l=$(readlink "$b/.ob/package" 2>/dev/null) || exit 1
    used="$used${l##*/} "
  done
  for e in /proc/[0-9]*/exe; do
    l=$(readlink "$e" 2>/dev/null)
    case $l in
      "$OB_STATE"/packages/*) l=${l#"$OB_STATE"/packages/}; used="$used${l%%/*} " ;;
    esac
  done
  for d in "$OB_STATE"/packages/*; do
    [ -d "$d" ] || continue
    case $used in *" ${d##*/} "*) ;; *) echo "$d" ;; esac
  done
  exit 0
)

# Prints the cached files that no package links to.
loose_files() {
  find "$OB_STATE/cache" -maxdepth 1 -type f ! -name '*.stamp' ! -name '*.partial' -links 1 \
    2>/dev/null
}

# Prints the directories of packages and of cached files if they are empty: a removal that was cut
# leaves them.
empty_directories() {
  for d in "$OB_STATE/packages" "$OB_STATE/cache"; do
    [ -d "$d" ] && [ -z "$(ls -A "$d")" ] && echo "$d"
  done
}
