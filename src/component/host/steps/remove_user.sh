# Removes the user if it still exists. Removes its home, too, if HOME is --remove and nobody but
# root can swap the home. NAME HOME
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
name=$1 home=${2:-}
# Whether the processes of the user UID are those of its own manager, and nothing else. UID
only_manager() {
  some=1
  for p in $(stat -c '%u %n' /proc/[0-9]* 2>/dev/null | sed -n "s,^$1 /proc/,,p"); do
    c=''
    { read -r c < "/proc/$p/comm"; } 2>/dev/null
    case $c in systemd|'(sd-pam)'|dbus-daemon) some=0 ;; '') ;; *) return 1 ;; esac
  done
  return $some
}
if getent passwd "$name" >/dev/null || grep -q "^$name:" /etc/passwd; then
  h=$(getent passwd "$name" || grep "^$name:" /etc/passwd)
  u=${h#*:*:} u=${u%%:*}
  h=${h%:*} h=${h##*:}
  # A manager of the user's own outlives the user's last session by some seconds (10 by default),
  # and userdel removes nobody who has a process.
  n=0
  while only_manager "$u" && [ $n -lt 20 ]; do n=$((n + 1)); sleep 1; done
  if [ -n "$home" ] && only_root "$h"; then root userdel "$home" "$name"
  else root userdel "$name"; fi || exit 1
fi
ob_forget user
