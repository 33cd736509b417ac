# Notes where a log ends, once for EPOCH: later the log may include the heir's own writes.
# BASE EPOCH LINE
# needs: engine/host.sh component/seekdb/lib.sh
grep -q "\"epoch\":$2," "$own/loss" 2>/dev/null || printf '%s\n' "$3" | ob_put "$own/loss"
