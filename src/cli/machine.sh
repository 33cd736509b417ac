# Prints what every effect script depends on: programs that are missing, free space, rights.
# needs: engine/host.sh
for t in flock sync sha256sum awk sed stat cksum tail; do
  command -v $t >/dev/null || echo "missing.$t=1"
done
d=${OB_STATE%/.ob}
df -Pk "$d" | awk 'NR == 2 { print "free=" $4 }'
df -Pi "$d" 2>/dev/null | awk 'NR == 2 && $4 ~ /^[0-9]+$/ { print "inodes=" $4 }'
[ -w "$d" ] && echo writable=1
:
