#!/bin/sh
# Deploys with the system's ssh and cat (faster than scp), on all hosts at once. It always
# copies, as it has no "copy when different".
set -eu
export SSH="ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
-o UserKnownHostsFile=$BENCH_KNOWN_HOSTS -i $BENCH_KEY"
export HERE; HERE=$(dirname "$0")/..
# shellcheck disable=SC2016
xargs -P 20 -I {} sh -euc '
    $SSH root@{} "mkdir -p /data/db && cat > /data/libaio.so.1" <"$BENCH_FILES/libaio.so.1"
    $SSH root@{} "rm -f /data/seekdb.partial && cat > /data/seekdb.partial && \
chmod 755 /data/seekdb.partial && mv /data/seekdb.partial /data/seekdb" <"$BENCH_FILES/seekdb"
    $SSH root@{} "cat > /data/db/start.sh" <"$BENCH_CONFIG"
    [ "$BENCH_START" = 0 ] || $SSH root@{} sh -s <"$HERE/up.sh"
' <"$BENCH_HOSTS"
