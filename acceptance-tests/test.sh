#!/bin/sh
# Runs all tests: the sweeps, which wait for leases most of their time, beside the others. Their output follows.
set -u
cargo=${CARGO:-cargo}
# Fixed points (sim.points, real.points): what explores is `make explore`.
"$cargo" test --locked --workspace --no-run || exit 1
log=$(mktemp)
turn=$(mktemp -d)
# The sweep on real hosts has a turn of its own: it begins at once, however many stories wait.
OB_LAB_TURN=$turn/sweep "$cargo" test --locked --workspace --no-fail-fast --test sweeps -- --nocapture >"$log" 2>&1 &
sweeps=$!
trap 'kill "$sweeps" 2>/dev/null; rm -rf "$log" "$turn"' EXIT
trap 'exit 1' INT TERM
# One thread more than there are turns: what needs no database goes on meanwhile.
OB_LAB_TURN=$turn/story RUST_TEST_THREADS=${RUST_TEST_THREADS:-4} \
    "$cargo" test --locked --workspace --no-fail-fast --lib --bins --test plugin --test stories
tests=$?
"$cargo" test --locked --workspace --doc
docs=$?
wait "$sweeps"
swept=$?
echo "--- the sweeps, which ran beside the tests above"
cat "$log"
[ "$tests" = 0 ] && [ "$docs" = 0 ] && [ "$swept" = 0 ]
