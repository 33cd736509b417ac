# Prints what every effect script depends on: programs that are missing, free space, rights, mounts
# (also of each DIRECTORY), cron, and limits with which nobody could log in.
# needs: engine/host.sh component/host/mount.sh
for t in flock sync sha256sum awk sed stat cksum tail; do
  command -v $t >/dev/null || echo "missing.$t=1"
done
d=${OB_STATE%/.ob}
df -Pk "$d" | awk 'NR == 2 { print "free=" $4 }'
df -Pi "$d" 2>/dev/null | awk 'NR == 2 && $4 ~ /^[0-9]+$/ { print "inodes=" $4 }'
[ -w "$d" ] && echo writable=1
for p in "$d" "$@"; do
  for word in $(mount_forbids "$p"); do printf '%s.%s=1\n' "$word" "$p"; done
done
if cron_alone; then printf 'cron=%s\n' "$(cron_forbids)"; fi
printf 'user=%s\n' "$(id -un)"
most=$(cat /proc/sys/fs/nr_open 2>/dev/null)
if ob_numbers "$most"; then
  for f in /etc/security/limits.conf /etc/security/limits.d/*.conf; do
    [ -r "$f" ] || continue
    most=$most awk '
      $1 !~ /^#/ && $3 == "nofile" && ($4 !~ /^[0-9]+$/ || $4 + 0 > ENVIRON["most"] + 0) {
        print "nofile=" FILENAME " sets " substr($4, 1, 20) ", and fs.nr_open is " ENVIRON["most"]
        exit
      }' "$f"
  done
fi
:
