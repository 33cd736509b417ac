# Prints what a host has for a server: its architecture, the free bytes and the mount of the base
# directory (or of where it is to be made) and of the home that keeps packages, and which of the
# ports (four hex digits each) somebody listens on. BASE PORT...
# needs: engine/host.sh component/seekdb/lib.sh component/host/mount.sh
shift
echo "arch=$(uname -m)"
df -Pk "$(mount_there "$base")" "$(mount_there "$OB_STATE")" | awk '
  NR == 2 { printf "base.free=%.0f\nbase.mount=%s\n", $4 * 1024, $6 }
  NR == 3 { printf "home.free=%.0f\nhome.mount=%s\n", $4 * 1024, $6 }'
for p in "$@"; do
  awk -v port=":$p" '$4 == "0A" && substr($2, length($2) - 4) == port { f = 1 } END { exit !f }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null && echo "taken.$p=1"
done
:
