# Prints what an instance that others made runs from: its arguments, files and version. BASE
# needs: engine/host.sh component/seekdb/lib.sh
p=$(sdb_pid)
if [ -n "$p" ]; then
  d=$(dirname "$(readlink "/proc/$p/exe")")
  tr '\0' '\n' < "/proc/$p/cmdline" | sed 's/^/arg=/'
  sdb_sockets "$p" | awk 'NF == 1 { own[$1]; next }
    $4 == "0A" && $10 in own { n = split($2, a, ":"); print "listens=" a[n] }' \
    - /proc/net/tcp /proc/net/tcp6 2>/dev/null
else
  d=$(readlink -f "$own/package")
  sed -n 's/^exec //p' "$own/start" 2>/dev/null | tr ' ' '\n' | sed 's/^/arg=/'
fi
for f in "$d"/seekdb "$d"/libaio.so.1; do
  [ -e "$f" ] || continue
  h=$(sha256sum < "$f")
  printf 'file=%s %s %s\n' "${f##*/}" "$(stat -c '%s %a' "$f")" "${h%% *}"
done
"$d/seekdb" --version 2>&1 | head -n 3 | sed 's/^/version=/'
uname -m | sed 's/^/arch=/'
:
