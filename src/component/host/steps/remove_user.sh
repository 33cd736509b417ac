# Removes the user if it still exists, and its home if HOME is --remove. NAME HOME
# needs: engine/host.sh component/host/record.sh
name=$1 home=${2:-}
if getent passwd "$name" >/dev/null || grep -q "^$name:" /etc/passwd; then
  if [ -n "$home" ]; then root userdel "$home" "$name"; else root userdel "$name"; fi || exit 1
fi
ob_forget user
