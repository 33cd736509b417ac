# Prints "known" if a server of ours was made in DIRECTORY, "gone" if it was removed or forgotten, and
# "there" if anything but lost+found is in it. Arguments: KEY DIRECTORY
# needs: engine/host.sh
[ ! -e "$OB_STATE/objects/$1/home" ] || echo known
[ ! -e "$OB_STATE/objects/$1/gone" ] || echo gone
for f in "$2"/* "$2"/.[!.]* "$2"/..?*; do
  [ -e "$f" ] || [ -L "$f" ] || continue
  case ${f##*/} in lost+found) ;; *) echo there; break ;; esac
done
:
