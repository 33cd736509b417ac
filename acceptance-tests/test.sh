#!/bin/sh
# Runs all tests. The sweeps, which wait for leases most of their time, run beside the others; their
# output follows at the end.
set -u
cargo=${CARGO:-cargo}
# The sweeps try the committed points (sim.points, real.points); `make explore` tries others.
"$cargo" test --locked --workspace --no-run || exit 1
log=$(mktemp)
turn=$(mktemp -d)
# The sweep on real hosts has its own turn, so it begins at once, however many stories wait.
OB_LAB_TURN=$turn/sweep "$cargo" test --locked --workspace --no-fail-fast --test sweeps \
    -- --nocapture >"$log" 2>&1 &
sweeps=$!
trap 'kill "$sweeps" 2>/dev/null; rm -rf "$log" "$turn"' EXIT
trap 'exit 1' INT TERM
# Four threads are one more than the turns of a machine with two processors, so that tests without a
# database go on while others wait for a turn.
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
