# Prints what stays the same on this host until somebody changes the machine.
# needs: component/host/disks.sh
(
  # shellcheck disable=SC1091 # The host's own.
  . /etc/os-release 2>/dev/null
  printf 'os=%s\n' "${PRETTY_NAME:-$(uname -s)}"
)
printf 'kernel=%s\narch=%s\n' "$(uname -r)" "$(uname -m)"
printf 'cores=%s\n' "$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc)"
while read -r k v _; do [ "$k" = MemTotal: ] && printf 'memory=%s\n' "$v"; done < /proc/meminfo
sed -n 's/^ *\([^:]*\):.*/device=\1/p' /proc/net/dev
disks
:
