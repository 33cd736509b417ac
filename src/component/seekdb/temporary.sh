# Copies the directory SOURCE to WORK, starts a server on the copy, says that it is ready, and waits
# for the end of its input. Then stops the server and removes the copy. The copy's directories are
# relative to its own base directory (data_dir and redo_dir are store and store/redo, seen on
# 1.4.0), so nothing leads back to SOURCE.
# WORK SOURCE PORT SERVER
umask 077
w=$1 s=$2 port=$3 server=$4 pid=''

end() {
  trap - EXIT HUP INT TERM PIPE
  if [ -n "$pid" ]; then
    kill -TERM "$pid" 2>/dev/null
    n=0
    while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null
  fi
  rm -rf "$w"
}
trap end EXIT
trap 'exit 1' HUP INT TERM PIPE

mkdir "$w" && mkdir "$w/run" "$w/log" &&
  cp -a --reflink=auto "$s/store" "$s/etc" "$w/" 2>&1 || { echo "FAILED the copy"; exit 1; }
cd "$w" || exit 1
"$server" --nodaemon --port "$port" --base-dir "$w" --parameter enable_rpc_service=False \
  </dev/null >"$w/out" 2>&1 &
pid=$!
hex=$(printf %04X "$port")
n=0
while [ $n -lt 240 ]; do
  n=$((n + 1))
  kill -0 "$pid" 2>/dev/null || {
    why=$(grep -hE 'ERROR|ret=-' "$w/log/seekdb.log" 2>/dev/null | tail -n 1 | cut -c1-300)
    echo "FAILED it ended: $why"
    exit 1
  }
  grep -qi ":$hex .* 0A " /proc/net/tcp && break
  sleep 0.25
done
for fd in "/proc/$pid/fd"/*; do
  case $(readlink "$fd") in
    "$s"/store/*|"$s"/etc/*) echo "FAILED it opened files of the store itself"; exit 1 ;;
  esac
done
ob_ready
cat >/dev/null
