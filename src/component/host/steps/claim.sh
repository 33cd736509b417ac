# Writes the first RECORD, unless there is one. RECORD
# needs: engine/host.sh component/host/record.sh
[ -e "$made" ] || printf %s "$1" | ob_put "$made"
