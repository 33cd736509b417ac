# Prints what the directory HOME holds beside the files of a new home and our notes. Runs as the
# home's user, because a home may be closed to others. No output at all means that it could not
# look. HOME
# needs: engine/host.sh component/host/record.sh
cd "$1" && echo looked || exit 0
for f in * .[!.]* ..?*; do
  [ -e "$f" ] || [ -L "$f" ] || continue
  [ -f "$f" ] && [ -f "/etc/skel/$f" ] &&
    [ "$(cksum < "$f")" = "$(cksum < "/etc/skel/$f")" ] && continue
  case $f in .ob|.bash_history) ;; *) printf '%s\n' "$f" ;; esac
done
:
