# Notes once for EPOCH where a log ends: later the log may be the heir's own. BASE EPOCH LINE
# needs: engine/host.sh component/seekdb/lib.sh
grep -q "\"epoch\":$2," "$own/loss" 2>/dev/null || printf '%s\n' "$3" | ob_put "$own/loss"
