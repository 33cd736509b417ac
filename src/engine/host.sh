# What every script of ours begins with: state directory, durable writes, gates, locks, journals.
# POSIX sh, with flock of util-linux and sync of coreutils.

# The home of the user who runs this. $HOME may be somebody else's. No process is started for it
# where /etc/passwd knows the user.
ob_own_home() {
  ob_uid=
  while read -r ob_k ob_v _; do
    case $ob_k in Uid:) ob_uid=$ob_v; break ;; esac
  done < /proc/self/status
  while IFS=: read -r _ _ ob_u _ _ ob_h _; do
    [ "$ob_u" = "$ob_uid" ] && { printf '%s\n' "$ob_h"; return; }
  done < /etc/passwd
  getent passwd "$ob_uid" | cut -d: -f6
}
: "${OB_STATE:=${ob_home:-$(ob_own_home)}/.ob}"
ob_fd=9

# Replaces FILE with stdin, durably: temp, fsync, rename, fsync of the directory. Callers take
# turns (a gate's lock, an object's effect lock, the cache's, ob_turn). The temp has one name, so
# that what a killed script left is gone with the next write.
ob_put() {
  ob_tmp="$1.tmp"
  cat > "$ob_tmp" && sync "$ob_tmp" && mv -f "$ob_tmp" "$1" && sync "${1%/*}"
}

ob_uptime() { read -r ob_up _ < /proc/uptime; ob_up=${ob_up%%.*}; }
ob_boot() { read -r ob_boot < /proc/sys/kernel/random/boot_id; }

# Says that a file of ours cannot be used, and ends with 80.
ob_damaged() { printf 'ob-damaged: %s: %s\n' "$1" "$2" >&2; exit 80; }

# Fails unless every VALUE is a number that this shell can compare.
ob_numbers() {
  for ob_n in "$@"; do
    case $ob_n in ''|*[!0-9]*|0?*) return 1 ;; esac
    [ "${#ob_n}" -le 18 ] || return 1
  done
}

# Reads the gate of object KEY into g_*.
ob_read_gate() {
  g_number=0 g_holder='' g_who='' g_process='' g_boot='' g_renewed=0 g_ttl=0
  ob_file="$OB_STATE/objects/$1/gate"
  if [ -e "$ob_file" ]; then
    g_format='' g_number=''
    while IFS='=' read -r ob_k ob_v; do
      case $ob_k in
        format) g_format=$ob_v ;; number) g_number=$ob_v ;; holder) g_holder=$ob_v ;;
        who) g_who=$ob_v ;; process) g_process=$ob_v ;; boot) g_boot=$ob_v ;;
        renewed) g_renewed=$ob_v ;; ttl) g_ttl=$ob_v ;;
      esac
    done < "$ob_file"
    ob_numbers "$g_format" || ob_damaged "$ob_file" 'it names no format'
    [ "$g_format" = 1 ] || ob_damaged "$ob_file" "it is of format $g_format, from a newer version"
    ob_numbers "$g_number" "$g_renewed" "$g_ttl" || ob_damaged "$ob_file" 'a number in it is none'
  fi
  ob_uptime; ob_boot
  g_live=0
  if [ -n "$g_holder" ] && [ "$g_boot" = "$ob_boot" ] && [ $((ob_up - g_renewed)) -le "$g_ttl" ]
  then g_live=1; fi
}

# Writes the gate of KEY: NUMBER HOLDER WHO TTL AUTHORITY EPOCH ENGINE NODE PROCESS; renewed now by
# this host's own clock.
ob_write_gate() {
  ob_uptime; ob_boot
  {
    printf 'format=1\nnumber=%s\nholder=%s\nwho=%s\nttl=%s\n' "$2" "$3" "$4" "$5"
    printf 'authority=%s\nepoch=%s\nengine=%s\nnode=%s\n' "$6" "$7" "$8" "$9"
    printf 'process=%s\nboot=%s\nrenewed=%s\n' "${10}" "$ob_boot" "$ob_up"
  } | ob_put "$OB_STATE/objects/$1/gate"
}

# Waits for its turn to change what all objects of this user share: the note of the machine, the
# crontab, the directory of units. The turn ends with the subshell that calls this.
ob_turn() {
  exec 3>>"$OB_STATE/lock"
  flock -w 20 3 || { echo "another step has held $OB_STATE/lock for 20 s" >&2; exit 75; }
}

# Proves that $OB_STATE is of this machine, and notes the machine there the first time. In a home
# that several machines share (NFS), or that was copied with its machine, gates, journals and the
# boot in them would be another machine's (82). A host that does not say which it is cannot be told
# apart.
ob_machine() {
  ob_id=''
  { read -r ob_id < "${ob_machine_id:-/etc/machine-id}"; } 2>/dev/null
  [ -n "$ob_id" ] || return 0
  [ -s "$OB_STATE/machine" ] || (
    ob_turn
    [ -s "$OB_STATE/machine" ] || printf '%s\n' "$ob_id" | ob_put "$OB_STATE/machine"
  ) || exit 1
  ob_was=''
  { read -r ob_was < "$OB_STATE/machine"; } 2>/dev/null
  if [ "$ob_was" != "$ob_id" ]; then
    printf '%s/machine names %.99s, and this machine is %s\n' "$OB_STATE" "$ob_was" "$ob_id" >&2
    exit 82
  fi
}

# Takes the lock under which the gate of KEY is changed, within SECONDS.
ob_lock_gate() {
  umask 077
  exec 7>>"$OB_STATE/objects/$1/gate.lock"
  flock -w "$2" 7 || exit 75
}

# Prints the gate of KEY.
ob_peek() {
  ob_read_gate "$1"
  printf 'number=%s\nlive=%s\nwho=%s\n' "$g_number" "$g_live" "$g_who"
  printf 'holder=%s\nprocess=%s\n' "$g_holder" "$g_process"
}

# Writes a new number, unless it is taken (78) or held (79); ends what a former holder still runs
# here; opens the journal. The holder GONE, whose process has ended, holds nothing: KEY NUMBER HOLDER
# WHO TTL AUTHORITY EPOCH ENGINE NODE PROCESS JOURNAL LINE [GONE].
ob_take() {
  umask 077
  mkdir -p "$OB_STATE/objects/$1/journal" || exit 1
  ob_machine
  ob_lock_gate "$1" 10
  ob_read_gate "$1"
  case $g_live/$g_holder in
    0/*|"1/$3"|"1/${13:-$3}") ;;
    *) echo "$g_who"; exit 79 ;;
  esac
  [ "$g_number" -lt "$2" ] || { echo "$g_number"; exit 78; }
  if [ -n "$g_holder" ]; then echo took_over=1; fi
  ob_write_gate "$@" || exit 1
  exec 7>&-
  ob_evict "$1"
  ob_prune_journals "$1/journal"
  shift 10
  ob_journal "$1" "$2"
}

# Renews, unless the number has changed (76). The arguments of ob_write_gate.
ob_renew() {
  ob_lock_gate "$1" 5
  ob_read_gate "$1"
  [ "$g_number" = "$2" ] || { echo "$g_number ($g_who)"; exit 76; }
  ob_write_gate "$@"
}

# Gives the gate of KEY NUMBER HOLDER back, number kept, and closes the journal: AUTHORITY EPOCH
# ENGINE NODE JOURNAL LINE... Two runs that race may write one number on different hosts, so the
# holder must be the same too.
ob_release() {
  ob_key=$1 ob_number=$2 ob_holder=$3 ob_authority=$4 ob_epoch=$5 ob_engine=$6 ob_node=$7 ob_log=$8
  ob_lock_gate "$ob_key" 5
  ob_read_gate "$ob_key"
  { [ "$g_number" = "$ob_number" ] && [ "$g_holder" = "$ob_holder" ]; } || exit 76
  shift 8
  for ob_line in "$@"; do ob_journal "$ob_log" "$ob_line"; done
  ob_write_gate "$ob_key" "$ob_number" '' '' 0 "$ob_authority" "$ob_epoch" "$ob_engine" \
    "$ob_node" ''
}

# Refuses unless the gate of KEY carries NUMBER and was renewed in time.
ob_check_gate() {
  ob_read_gate "$1"
  [ "$g_number" = "$2" ] ||
    { echo "ob-gate: $1 was taken over by number $g_number ($g_who)" >&2; exit 76; }
  [ "$g_live" = 1 ] || { echo "ob-gate: $1 was not renewed in time" >&2; exit 77; }
}

# Refuses (81) unless the mark in BASE is of this user, of format 1, OWNER and CREATION, these as
# JSON; an empty CREATION is any. With NEW=1 an object without a mark passes too. A mark is one line,
# whose members come in any order; a value in it cannot hold these texts, as JSON escapes its quotes.
# BASE OWNER CREATION NEW
ob_owned() {
  ob_mark=''
  if [ -e "$1/.ob/mark" ]; then
    # shellcheck disable=SC3067 # Every sh that we meet has -O: dash, bash, busybox.
    [ -O "$1/.ob/mark" ] || { echo 'ob-owner: user' >&2; exit 81; }
    IFS= read -r ob_mark < "$1/.ob/mark"
  elif [ "$4" = 1 ]; then return 0; fi
  case $ob_mark in *'"format":1,'*|*'"format":1}'*)
    case $ob_mark in *"\"owner\":$2"*)
      case $ob_mark in *"\"creation\":$3"*) return 0 ;; esac ;;
    esac ;;
  esac
  printf 'ob-owner: %.4000s\n' "$ob_mark" >&2
  exit 81
}

# Enters the effect section of KEY: its lock first, then the gate. This shell holds the lock until
# it ends. Each object of one effect gets a descriptor of its own.
ob_enter() {
  [ -d "$OB_STATE/objects/$1/journal" ] || mkdir -p "$OB_STATE/objects/$1/journal" || exit 1
  ob_lock="$OB_STATE/objects/$1/lock"
  case $ob_fd in
    9) exec 9>>"$ob_lock" ;; 8) exec 8>>"$ob_lock" ;; 7) exec 7>>"$ob_lock" ;;
    6) exec 6>>"$ob_lock" ;; 5) exec 5>>"$ob_lock" ;; 4) exec 4>>"$ob_lock" ;;
    3) exec 3>>"$ob_lock" ;;
    *) echo 'ob-gate: one effect is under more gates of this host than seven' >&2; exit 1 ;;
  esac
  flock -w 20 "$ob_fd" ||
    { echo "ob-gate: another effect on $1 still runs on this host" >&2; exit 75; }
  ob_process "$$"
  echo "$$ $ob_start" > "$OB_STATE/objects/$1/lock.pid"
  ob_fd=$((ob_fd - 1))
  ob_check_gate "$1" "$2"
}

# Appends one line to a journal: host time, then what the caller sealed.
ob_journal() {
  printf '%s %s\n' "$(date +%s)" "$2" >> "$OB_STATE/objects/$1" && sync -d "$OB_STATE/objects/$1"
}

# Bounds the journals in DIRECTORY (below objects/) before a new one begins: the newest 200, of
# those that were never closed the newest 20, and 16 MiB in all. Names sort by time.
ob_prune_journals() (
  cd "$OB_STATE/objects/$1" || return 0
  set -- *.log
  [ $# -ge 20 ] || return 0
  {
    grep -L -e '"event":"close"' -e '"event":"stop"' -e '"event":"abandon"' -- "$@" | sed 's/$/ ~/'
    wc -c -- "$@" | sed -n 's/^ *\([0-9][0-9]*\) \(.*\.log\)$/\2 \1/p'
  } | sort -r | awk '
    $2 == "~" { open[$1] = 1; next }
    { all++; size += $2; if ($1 in open) opened++ }
    all >= 200 || size > 16777216 || ($1 in open && opened >= 20) { print $1 }' |
    tr '\n' '\0' | xargs -0 rm -f --
)

# Ends whoever still holds the effect lock of KEY; the caller has raised the number before.
ob_evict() {
  exec 8>>"$OB_STATE/objects/$1/lock"
  flock -n 8 && { exec 8>&-; return 0; }
  # Whoever has just taken the lock has not noted itself yet, and numbers are used again: only the
  # process that noted itself is ended.
  { read -r ob_pid ob_since < "$OB_STATE/objects/$1/lock.pid"; } 2>/dev/null
  ob_process "$$"
  ob_own=$ob_group
  if ob_numbers "$ob_pid" "$ob_since" && ob_process "$ob_pid" && [ "$ob_start" = "$ob_since" ]; then
    # Its whole process group: the shell, what it runs, and the watchdog above it.
    [ "$ob_group" -gt 1 ] && [ "$ob_group" != "$ob_own" ] && kill -9 "-$ob_group" 2>/dev/null
    kill -9 "$ob_pid" 2>/dev/null
  fi
  flock -w 10 8 ||
    { echo "ob-gate: the former holder's effect on $1 (pid $ob_pid) does not end" >&2; exit 75; }
  exec 8>&-
}

# Sets ob_group and ob_start, the process group of PID and its start in clock ticks since the boot;
# fails if there is no such process. A process may have any name: fields count from the last ')'.
ob_process() {
  ob_group='' ob_start=''
  { read -r ob_stat < "/proc/$1/stat"; } 2>/dev/null || return 1
  ob_stat=${ob_stat##*) }
  # shellcheck disable=SC2086 # The fields of the line.
  set -- $ob_stat
  ob_group=$3 ob_start=${20}
  ob_numbers "$ob_group" "$ob_start"
}

# Obeys lines on stdin while this shell holds the locks, and answers each with `ob-done`, that line
# and the status of its program. `begin N`, `end N`, `fail N` and `run N` call what the script has for
# step N; the first and the last prove the gate before. `bye N` ends.
ob_obey() {
  while read -r ob_cmd ob_step; do
    ob_rc=0
    case $ob_cmd in begin|run) ob_still ;; esac
    case $ob_cmd in
      begin|end|fail|run) "ob_${ob_cmd}_$ob_step" || [ $? != 127 ] || exit 127 ;;
      bye) ;;
      *) exit 127 ;;
    esac
    # On a line of its own, whatever the program printed last.
    printf '\nob-done %s %s %s\n' "$ob_cmd" "$ob_step" "$ob_rc"
    [ "$ob_cmd" != bye ] || exit 0
  done
}
