#!/bin/sh
# Runs all commands as one script by one ssh per host; the output is collected.
set -eu
export SSH="ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
-o UserKnownHostsFile=$BENCH_KNOWN_HOSTS -i $BENCH_KEY"
export HERE; HERE=$(dirname "$0")/..
# shellcheck disable=SC2016
xargs -P 20 -I {} sh -euc '$SSH root@{} sh -s <"$HERE/commands.txt"' <"$BENCH_HOSTS" >/dev/null
