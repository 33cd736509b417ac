# What every effect script begins with. POSIX sh, flock of util-linux, sync of coreutils.
: "${OB_STATE:=${ob_home:-$(eval echo "~$(id -un)")}/.ob}"
ob_fd=9

# Replaces FILE with stdin, durably: temp, fsync, rename, fsync of the directory. Callers take turns (a gate's lock, an
# object's effect lock, the cache's): the temp has one name, so that what a killed script left is gone with the next.
ob_put() {
  ob_tmp="$1.tmp"
  cat > "$ob_tmp" && sync "$ob_tmp" && mv -f "$ob_tmp" "$1" && sync "${1%/*}"
}

ob_uptime() { read -r ob_up _ < /proc/uptime; ob_up=${ob_up%%.*}; }
ob_boot() { read -r ob_boot < /proc/sys/kernel/random/boot_id; }

# Reads the gate of object KEY into g_*.
ob_read_gate() {
  g_number=0 g_holder='' g_who='' g_boot='' g_renewed=0 g_ttl=0
  if [ -r "$OB_STATE/objects/$1/gate" ]; then
    while IFS='=' read -r ob_k ob_v; do
      case $ob_k in
        number) g_number=$ob_v ;; holder) g_holder=$ob_v ;; who) g_who=$ob_v ;;
        boot) g_boot=$ob_v ;; renewed) g_renewed=$ob_v ;; ttl) g_ttl=$ob_v ;;
      esac
    done < "$OB_STATE/objects/$1/gate"
  fi
  ob_uptime; ob_boot
  g_live=0
  if [ -n "$g_holder" ] && [ "$g_boot" = "$ob_boot" ] && [ $((ob_up - g_renewed)) -le "$g_ttl" ]; then g_live=1; fi
}

# Writes the gate of KEY: NUMBER HOLDER WHO TTL AUTHORITY EPOCH; renewed now by this host's own clock.
ob_write_gate() {
  ob_uptime; ob_boot
  printf 'format=1\nnumber=%s\nholder=%s\nwho=%s\nttl=%s\nauthority=%s\nepoch=%s\nboot=%s\nrenewed=%s\n' \
    "$2" "$3" "$4" "$5" "$6" "$7" "$ob_boot" "$ob_up" | ob_put "$OB_STATE/objects/$1/gate"
}

# Refuses unless the gate of KEY carries NUMBER and was renewed in time.
ob_check_gate() {
  ob_read_gate "$1"
  [ "$g_number" = "$2" ] || { echo "ob-gate: $1 was taken over by number $g_number ($g_who)" >&2; exit 76; }
  [ "$g_live" = 1 ] || { echo "ob-gate: $1 was not renewed in time" >&2; exit 77; }
}

# Enters the effect section of KEY: its lock first, then the gate. The lock is held until this shell ends.
ob_enter() {
  [ -d "$OB_STATE/objects/$1/journal" ] || mkdir -p "$OB_STATE/objects/$1/journal" || exit 1
  eval "exec $ob_fd>>\"\$OB_STATE/objects/$1/lock\""
  flock -w 20 "$ob_fd" || { echo "ob-gate: another effect on $1 still runs on this host" >&2; exit 75; }
  echo "$$" > "$OB_STATE/objects/$1/lock.pid"
  ob_fd=$((ob_fd - 1))
  ob_check_gate "$1" "$2"
}

# Appends one line to a journal: host time, then what the caller sealed.
ob_journal() { printf '%s %s\n' "$(date +%s)" "$2" >> "$OB_STATE/objects/$1" && sync -d "$OB_STATE/objects/$1"; }

# Ends whoever still holds the effect lock of KEY; the caller has raised the number before.
ob_evict() {
  exec 8>>"$OB_STATE/objects/$1/lock"
  flock -n 8 && { exec 8>&-; return 0; }
  ob_pid=$(cat "$OB_STATE/objects/$1/lock.pid" 2>/dev/null)
  if [ -n "$ob_pid" ] && [ -r "/proc/$ob_pid/stat" ]; then
    # Its whole process group: the shell, what it runs, and the watchdog above it.
    ob_stat=$(cat "/proc/$ob_pid/stat" 2>/dev/null); ob_stat=${ob_stat##*) }
    ob_own=$(cat "/proc/$$/stat"); ob_own=${ob_own##*) }
    # shellcheck disable=SC2086
    ob_group=$(set -- $ob_stat; echo "$3")
    # shellcheck disable=SC2086
    ob_own=$(set -- $ob_own; echo "$3")
    [ "${ob_group:-0}" -gt 1 ] && [ "$ob_group" != "$ob_own" ] && kill -9 "-$ob_group" 2>/dev/null
    kill -9 "$ob_pid" 2>/dev/null
  fi
  flock -w 10 8 || { echo "ob-gate: the former holder's effect on $1 (pid $ob_pid) does not end" >&2; exit 75; }
  exec 8>&-
}
