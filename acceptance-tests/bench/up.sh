# Runs on a host: starts the server unless it runs, and waits for its port. Every peer uses this.
pgrep -x seekdb >/dev/null || sh /data/db/start.sh
until bash -c ': </dev/tcp/127.0.0.1/2881' 2>/dev/null; do sleep 0.1; done
