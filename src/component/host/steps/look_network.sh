# Prints the network devices and the addresses of DEVICE.
# needs: engine/host.sh component/host/record.sh
sed -n 's/^ *\([^:]*\):.*/device.\1=1/p' /proc/net/dev
if command -v ip >/dev/null; then
  echo tool=1
  ip -o addr show dev "$1" 2>/dev/null | while read -r _ _ _ a _; do
    printf 'address.%s=1\n' "${a%%/*}"
  done
fi
:
