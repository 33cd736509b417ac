# Undoes a directory: removes an empty one that we made, gives one that was there back to its owner.
# Parents go as far as they were made by us and are empty. What is not empty stays. PATH
# needs: engine/host.sh component/host/record.sh
p=$1

# Removes an empty directory, and fails when it stays, as one that is in use does. Its content may
# be hidden from us, so rmdir itself is asked. DIRECTORY
gone() {
  [ -d "$1" ] || return 0
  e=$(root rmdir "$1" 2>&1) && return 0
  case $e in *"not empty"*|*busy*) echo "$1 stays: $e"; return 1 ;; esac
  echo "$e" >&2
  exit 1
}

w=$(ob_noted "dir.$p") || exit 0
if [ -d "$p" ] && [ ! -L "$p" ]; then
  case $w in
    made) gone "$p" ;;
    was\ *)
      w=${w#was }
      owner=${w%% *} mode=${w##* }
      [ "$(stat -c %04a "$p")" = "$mode" ] || root chmod "$mode" "$p" || exit 1
      [ "$(stat -c %U "$p")" = "$owner" ] || root chown "$owner" "$p" || exit 1 ;;
  esac
fi
q=$(dirname "$p")
while ob_noted "parent.$q" >/dev/null; do
  gone "$q" || break
  ob_forget "parent.$q"
  q=$(dirname "$q")
done
ob_forget "dir.$p"
