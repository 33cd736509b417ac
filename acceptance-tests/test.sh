#!/bin/sh
# Runs all tests: the crash sweep on real hosts beside the others, which take turns among themselves.
# Its output comes when both have ended.
set -u
cargo=${CARGO:-cargo}
# The same points each time, from committed seeds: what explores is `make explore`.
export OB_SIM_SEED="${OB_SIM_SEED:-1795869781}" OB_SWEEP_SEED="${OB_SWEEP_SEED:-1795869781}"
export OB_CONTRACT_SEED="${OB_CONTRACT_SEED:-1795911369}"
"$cargo" test --locked --workspace --no-run || exit 1
log=$(mktemp)
turn=$(mktemp)
OB_LAB_TURN=$turn "$cargo" test --locked --workspace --test sweep_real -- --nocapture >"$log" 2>&1 &
sweep=$!
trap 'kill "$sweep" 2>/dev/null; rm -f "$log" "$turn"' EXIT
trap 'exit 1' INT TERM
"$cargo" test --locked --workspace --no-fail-fast -- --skip whatever_is_killed_at_whatever_point
tests=$?
wait "$sweep"
swept=$?
echo "--- the crash sweep on real hosts, which ran beside the tests above"
cat "$log"
[ "$tests" = 0 ] && [ "$swept" = 0 ]
