#!/bin/sh
# Runs one command on one host.
exec ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
    -o "UserKnownHostsFile=$BENCH_KNOWN_HOSTS" -i "$BENCH_KEY" "root@$(cat "$BENCH_HOSTS")" true
