# Writes the first RECORD, unless there is one. RECORD
[ -e "$made" ] || printf %s "$1" | ob_put "$made"
