# Functions that print what no instance on the host starts from; the object LEAVING aside.
# needs: engine/host.sh

# The unused package directories: those that no other instance links to and no process runs from.
# None, and it fails, while an instance is being made that has no package yet: what it is about to
# use may be there already.
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

# Cached files that no package links to.
loose_files() {
  find "$OB_STATE/cache" -maxdepth 1 -type f ! -name '*.stamp' ! -name '*.partial' -links 1 \
    2>/dev/null
}

# The directories of packages and of cached files, where they are empty: a removal that was cut
# leaves them.
empty_directories() {
  for d in "$OB_STATE/packages" "$OB_STATE/cache"; do
    [ -d "$d" ] && [ -z "$(ls -A "$d")" ] && echo "$d"
  done
}
