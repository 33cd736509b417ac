#!/bin/sh
# Installs the peers that `make bench` compares with. Safe to repeat; says what it installs. Run as
# root.
#   setup.sh DIRECTORY      makes a Python environment there with ansible-core, pyinfra and
#                           parallel-ssh (PyPI); takes rsync from the system
set -eu
if ! command -v rsync >/dev/null 2>&1; then
    echo "bench: installing rsync"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends rsync >/dev/null
fi
wanted="ansible-core==2.19.14 pyinfra==3.10.0 parallel-ssh==2.16.0.post1"
[ "$(cat "$1/installed" 2>/dev/null)" != "$wanted" ] || exit 0
echo "bench: installing $wanted into $1"
python3 -m venv --clear "$1"
# shellcheck disable=SC2086
"$1/bin/python" -m pip install --disable-pip-version-check --quiet $wanted
printf '%s' "$wanted" >"$1/installed"
