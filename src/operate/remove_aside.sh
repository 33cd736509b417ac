# Removes the store NAME that was set aside in DIRECTORY. It loses its name first: a store that is
# half removed is never taken for a whole one. Arguments: DIRECTORY NAME
cd "$1/.ob/aside" || exit 1
case $2 in ''|.*|*[!A-Za-z0-9._-]*) echo "no store has the name $2" >&2; exit 1 ;; esac
if [ -e "$2" ]; then
  # shellcheck disable=SC3067 # Every sh that we meet has -O: dash, bash, busybox.
  [ -d "$2" ] && [ ! -L "$2" ] && [ -O "$2" ] || { echo "$2 is no store of ours" >&2; exit 1; }
  rm -rf ".removed.$2" && mv -T "$2" ".removed.$2" || exit 1
fi
rm -rf .removed.* && sync .
