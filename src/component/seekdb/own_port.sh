# Prints for each listener on PORT (four hex digits) whether the server of BASE owns it: "own" or
# "other"; "gone" when no such server runs. BASE PORT
# needs: engine/host.sh component/seekdb/lib.sh
p=$(sdb_pid)
[ -n "$p" ] || { echo gone; exit 0; }
sdb_sockets "$p" | awk -v port=":$2" 'NF == 1 { own[$1]; next }
  $4 == "0A" && substr($2, length($2) - 4) == port { print ($10 in own) ? "own" : "other" }' \
  - /proc/net/tcp /proc/net/tcp6 2>/dev/null
:
