# Prints what a home holds beside what a new one has and our notes. Run as that user, whose home may
# be closed to others: silence means that nobody looked. HOME
# needs: engine/host.sh component/host/record.sh
cd "$1" && echo looked || exit 0
for f in * .[!.]* ..?*; do
  [ -e "$f" ] || [ -L "$f" ] || continue
  [ -f "$f" ] && [ -f "/etc/skel/$f" ] &&
    [ "$(cksum < "$f")" = "$(cksum < "/etc/skel/$f")" ] && continue
  case $f in .ob|.bash_history) ;; *) printf '%s\n' "$f" ;; esac
done
:
