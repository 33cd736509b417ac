#!/bin/sh
# Deploys with rsync, which compares size and time, and then one ssh for the rest.
set -eu
export SSH="ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
-o UserKnownHostsFile=$BENCH_KNOWN_HOSTS -i $BENCH_KEY"
export HERE; HERE=$(dirname "$0")/..
# shellcheck disable=SC2016
xargs -P 20 -I {} sh -euc '
    rsync -t -p --mkpath -e "$SSH" "$BENCH_FILES/libaio.so.1" "$BENCH_FILES/seekdb" root@{}:/data/
    rsync -t --mkpath -e "$SSH" "$BENCH_CONFIG" root@{}:/data/db/start.sh
    [ "$BENCH_START" = 0 ] || $SSH root@{} sh -s <"$HERE/up.sh"
' <"$BENCH_HOSTS"
