# Functions for programs about one instance. The first argument is the instance's directory.
# needs: engine/host.sh
base=${1:?} own=$1/.ob
# What we and our servers make holds rows or secrets.
umask 077

# Sets sdb_p to the pid of the server of $base if it lives, and sdb_s to the fields of its stat file
# from the state on. A server lives on without its pid file, too: then any process counts that runs
# in $base and whose program is a seekdb. Starts a process only for such a one.
sdb_find() {
  sdb_noted
  [ -z "$sdb_p" ] || return 0
  for sdb_d in /proc/[0-9]*; do
    # shellcheck disable=SC3013 # Every sh that we meet has -ef: dash, bash, busybox.
    [ "$sdb_d/cwd" -ef "$base" ] || continue
    case $(readlink "$sdb_d/exe") in */seekdb|*'/seekdb (deleted)') ;; *) continue ;; esac
    { read -r sdb_s < "$sdb_d/stat"; } 2>/dev/null || continue
    sdb_p=${sdb_d#/proc/} sdb_s=${sdb_s##*) }
    return 0
  done
}
# As sdb_find, for the process that the pid file names. That file alone proves nothing: it outlives
# the process, and pids are used again. Starts no process.
sdb_noted() {
  sdb_p='' sdb_s='' sdb_c=''
  { read -r sdb_p < "$base/run/seekdb.pid"; } 2>/dev/null
  ob_numbers "$sdb_p" && { read -r sdb_s < "/proc/$sdb_p/stat"; } 2>/dev/null ||
    { sdb_p=''; return 0; }
  sdb_s=${sdb_s##*) }
  case $sdb_s in
    # The first thread may end while others live: they still hold store and ports.
    Z*) set -- "/proc/$sdb_p/task"/*; [ $# -gt 1 ] || sdb_p=''; return 0 ;;
    X*|'') sdb_p=''; return 0 ;;
  esac
  { read -r sdb_c < "/proc/$sdb_p/cmdline"; } 2>/dev/null
  case $sdb_c in *seekdb*) ;; *) sdb_p=''; return 0 ;; esac
  # shellcheck disable=SC3013 # Every sh that we meet has -ef: dash, bash, busybox.
  [ "/proc/$sdb_p/cwd" -ef "$base" ] || sdb_p=''
}
sdb_pid() { sdb_find; [ -z "$sdb_p" ] || echo "$sdb_p"; }

# Prints the inode of each socket of process P.
sdb_sockets() {
  # shellcheck disable=SC2012 # The names are numbers, and the links are what is read.
  ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\]$/\1/p'
}

# Prints who listens on PORT (four hex digits): "gone" when no server of $base runs, else "own" and
# "other" for each listener that is the server's and that is not. Whoever listens on an address of
# its own there gets what is meant for the server. PORT
sdb_listeners() {
  sdb_find
  [ -n "$sdb_p" ] || { echo gone; return; }
  sdb_o=$(sdb_sockets "$sdb_p")
  # The server of another user does not show what it has open.
  [ -n "$sdb_o" ] || return
  printf '%s\n' "$sdb_o" | awk -v port=":$1" 'NF == 1 { own[$1]; next }
    $4 == "0A" && substr($2, length($2) - 4) == port { print ($10 in own) ? "own" : "other" }' \
    - /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Prints a name for the process that is unique for ever: after a boot another one may have its pid.
sdb_process() {
  sdb_find
  [ -n "$sdb_p" ] || return 1
  ob_boot
  # shellcheck disable=SC2086 # The fields of the line.
  set -- $sdb_s
  echo "$sdb_p ${20} $ob_boot"
}

# Whether a server of $base has started but has not written its pid file, which takes seconds on a
# busy host.
sdb_begins() {
  sdb_noted
  [ -z "$sdb_p" ] || return 1
  for sdb_d in /proc/[0-9]*; do
    sdb_c=''
    { read -r sdb_c < "$sdb_d/cmdline"; } 2>/dev/null
    case $sdb_c in *"--base-dir$base--"*|*"--base-dir$base") return 0 ;; esac
  done
  return 1
}
# Waits while sdb_begins holds, 20 s at most.
sdb_settle() {
  sdb_n=0
  while sdb_begins && [ $sdb_n -lt 200 ]; do sdb_n=$((sdb_n + 1)); sleep 0.1; done
}

# Ends the server and waits until it is gone: until then a new server of this directory ends at its
# start (status 96). Sends TERM first and KILL after $1 tenths of a second; with 0 sends KILL at
# once. Fails if the server is still there 20 s after that.
sdb_end() {
  sdb_n=0
  while sdb_find; [ -n "$sdb_p" ]; do
    if [ "$sdb_n" -eq "$1" ]; then kill -KILL "$sdb_p"
    elif [ "$sdb_n" -eq 0 ]; then kill -TERM "$sdb_p"; fi
    [ "$sdb_n" -lt $(($1 + 200)) ] || { echo "pid $sdb_p does not end" >&2; return 1; }
    sdb_n=$((sdb_n + 1)); sleep 0.1
  done
}

# Writes MARK into $base, and notes $base as the directory of the object KEY. KEY MARK
sdb_mark() {
  mkdir -p "$own" "$OB_STATE/objects/$1" && printf '%s\n' "$2" | ob_put "$own/mark" || return 1
  sdb_h="$OB_STATE/objects/$1/home" sdb_b=''
  [ -r "$sdb_h" ] && read -r sdb_b < "$sdb_h"
  [ "$sdb_b" = "$base" ] || printf '%s\n' "$base" | ob_put "$sdb_h" || return 1
  rm -f "$OB_STATE/objects/$1/gone"
}
