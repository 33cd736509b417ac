# Functions about what a host forbids where a server is to run: the file system of a path, and cron.

# Prints the nearest directory above PATH that is there, without links. PATH
mount_there() {
  mount_p=$1
  while [ -n "$mount_p" ] && [ ! -d "$mount_p" ]; do mount_p=${mount_p%/*}; done
  readlink -f "${mount_p:-/}"
}

# Prints "noexec", "readonly" or both about the file system of PATH. PATH
mount_forbids() {
  mount_at=$(mount_there "$1") awk '
    BEGIN { path = ENVIRON["mount_at"] }
    { at = $5; gsub(/\\040/, " ", at) }
    at == "/" || path == at || index(path, at "/") == 1 {
      # Of several mounts on one directory the last one is seen.
      if (length(at) < length(best)) next
      best = at
      for (i = 7; i < NF && $i != "-"; i++);
      options = "," $6 "," $(i + 3) ","
    }
    END {
      if (index(options, ",noexec,")) print "noexec"
      if (index(options, ",ro,")) print "readonly"
    }' "${mount_info:-/proc/self/mountinfo}"
}

# Whether nothing but cron can start a server with its host: there is no systemd, or we may not
# write a unit.
cron_alone() {
  [ -d /run/systemd/system ] || return 0
  # A manager of the user's own that lives without a login does it, too.
  [ "$(id -u)" = 0 ] || { [ -e "/var/lib/systemd/linger/$(id -un)" ] &&
    [ -S "/run/user/$(id -u)/systemd/private" ]; } && return 1
  ! sudo -n -l >/dev/null 2>&1
}

# Prints why the user who runs this may not use cron, in one line; nothing if that may.
cron_forbids() {
  command -v crontab >/dev/null || { echo 'there is no crontab'; return; }
  cron_l=$(crontab -l 2>&1 >/dev/null) && return
  case $cron_l in
    *'no crontab'*|*'No such file'*) ;;
    *) printf '%s\n' "$cron_l" | tr -c '[:print:]' ' ' | cut -c1-200; echo ;;
  esac
}
