# Prints what changes on this host from minute to minute.
# needs: component/host/disks.sh
disks
while read -r k v _; do
  [ "$k" = MemAvailable: ] && printf 'available=%s\n' "$v"
done < /proc/meminfo
read -r l _ < /proc/loadavg; printf 'load=%s\n' "$l"
read -r u _ < /proc/uptime; printf 'uptime=%s\n' "${u%%.*}"
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ local _ state _; do
  [ "$state" = 0A ] && printf 'port=%s\n' "${local##*:}"
done
:
