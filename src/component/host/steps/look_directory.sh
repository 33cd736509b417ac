# Prints what a directory is, and who besides root could swap it. PATH
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
ob_record
printf 'me=%s\n' "$(id -un)"
w=$(only_root "$1" 2>&1) || printf 'unsafe=%s\n' "$w"
if [ -L "$1" ]; then echo link=1; fi
[ -e "$1" ] && stat -c 'owner=%U
mode=%04a
kind=%F' "$1"
if [ -d "$1" ]; then
  if [ -r "$1" ] && [ -x "$1" ]; then
    for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do
      [ -e "$f" ] || [ -L "$f" ] || continue
      [ "${f##*/}" = lost+found ] || { printf 'holds=%s\n' "${f##*/}"; break; }
    done
  else echo hidden=1; fi
fi
:
