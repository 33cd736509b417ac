# The function that proves, right before root acts on a path, that nobody else can swap what the
# path names.
# needs: engine/host.sh

# Fails and says why, unless root alone can change what PATH names: each directory above it is
# root's, no link, and writable by nobody else, and PATH itself is no link. A directory that is not
# there does not count, since only root can make it. stat follows no link and looks from the top
# down, so nobody can swap what it has looked at. PATH
only_root() {
  ob_path=$1 ob_rest=${1%/*}/ ob_at=''
  set -- /
  while ob_rest=${ob_rest#/}; [ -n "$ob_rest" ]; do
    ob_at=$ob_at/${ob_rest%%/*} ob_rest=${ob_rest#*/}
    set -- "$@" "$ob_at"
  done
  stat -c '%u %f %U %n' -- "$@" 2>/dev/null | {
    ob_last=''
    while read -r ob_uid_of ob_mode ob_owner ob_at; do
      ob_last=$ob_at ob_mode=$((0x$ob_mode))
      if [ $((ob_mode & 0xf000)) = $((0xa000)) ]; then echo "$ob_at is a link"
      elif [ "$ob_uid_of" != 0 ]; then echo "$ob_at belongs to $ob_owner"
      elif [ $((ob_mode & 0x12)) != 0 ]; then echo "others than root may write in $ob_at"
      else continue
      fi >&2
      exit 1
    done
    [ -x "$ob_last" ] || { echo "only root can look below ${ob_last:-/}" >&2; exit 1; }
  } || return 1
  [ ! -L "$ob_path" ] || { echo "$ob_path is a link" >&2; return 1; }
}
