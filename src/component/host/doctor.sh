# Prints what databases need of a host, and the kernel settings KEY... as they are now and as the
# next boot sets them.
# shellcheck disable=SC3045 # Every sh that we meet knows hard limits: dash, bash, busybox.
# needs: engine/host.sh
printf 'nofile=%s\nstack=%s\n' "$(ulimit -Hn)" "$(ulimit -Hs)"
printf 'nproc=%s\n' "$(sed -n 's/^Max processes *[^ ]* *\([^ ]*\).*/\1/p' /proc/self/limits)"
printf 'thp=%s\n' "$(cat /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null)"
printf 'aio_max=%s\n' "$(cat /proc/sys/fs/aio-max-nr 2>/dev/null)"
printf 'aio_used=%s\n' "$(cat /proc/sys/fs/aio-nr 2>/dev/null)"
printf 'glibc=%s\n' "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
while read -r k v _; do [ "$k" = MemTotal: ] && printf 'memory=%s\n' "$v"; done < /proc/meminfo
grep -qw avx /proc/cpuinfo && echo avx=1
grep -qw atomics /proc/cpuinfo && echo atomics=1
[ -d /run/systemd/system ] && echo systemd=1
command -v crontab >/dev/null && echo cron=1
for t in flock sync timeout sha256sum tar stat cksum readlink; do
  command -v $t >/dev/null || echo missing.$t=1
done
command -v getenforce >/dev/null && printf 'selinux=%s\n' "$(getenforce)"
if [ "$(id -u)" = 0 ]; then echo root=1; elif sudo -n -l >/dev/null 2>&1; then echo sudo=1; fi
for k in "$@"; do
  f=/proc/sys/$(echo "$k" | tr . /)
  [ ! -r "$f" ] || printf 'now.%s=%s\n' "$k" "$(cat "$f")"
done
# Files that the boot reads after ours win: sysctl.d in the order of names, then sysctl.conf.
for f in /etc/sysctl.d/*.conf /etc/sysctl.conf; do
  [ -r "$f" ] || continue
  sed -n 's/^[ -]*\([a-z][a-zA-Z0-9_./-]*\)[ ]*=[ ]*\(.*\)$/\1=\2/p' "$f" | sed "s|^|boot.$f |"
done
:
