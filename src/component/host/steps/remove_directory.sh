# Undoes a directory: removes it if we made it and it is empty, or gives one that was there before
# back to its former owner. Removes its parents as far as we made them and they are empty. PATH
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
p=$1

# Removes an empty directory; fails when the directory stays because it is not empty or in use. Its
# content may be hidden from us, so rmdir decides. DIRECTORY
gone() {
  [ -d "$1" ] && [ ! -L "$1" ] || return 0
  only_root "$1" || exit 1
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
      only_root "$p" || exit 1
      [ "$(stat -c %04a "$p")" = "$mode" ] || root chmod "$mode" "$p" || exit 1
      [ "$(stat -c %U "$p")" = "$owner" ] || root chown -h "$owner" "$p" || exit 1 ;;
  esac
fi
q=$(dirname "$p")
while ob_noted "parent.$q" >/dev/null; do
  gone "$q" || break
  ob_forget "parent.$q"
  q=$(dirname "$q")
done
ob_forget "dir.$p"
