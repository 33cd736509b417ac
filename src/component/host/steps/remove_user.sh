# Removes the user if it still exists. Removes its home, too, if HOME is --remove and nobody but
# root can swap the home. NAME HOME
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
name=$1 home=${2:-}
if getent passwd "$name" >/dev/null || grep -q "^$name:" /etc/passwd; then
  h=$(getent passwd "$name" || grep "^$name:" /etc/passwd)
  h=${h%:*} h=${h##*:}
  if [ -n "$home" ] && only_root "$h"; then root userdel "$home" "$name"
  else root userdel "$name"; fi || exit 1
fi
ob_forget user
