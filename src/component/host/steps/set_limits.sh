# Writes the file of limits. FILE TEXT
# needs: engine/host.sh component/host/record.sh
ob_note limits "$1" && printf %s "$2" | root tee "$1" >/dev/null
