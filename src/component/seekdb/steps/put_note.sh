# Writes a note of one line. BASE NAME LINE
# needs: engine/host.sh component/seekdb/lib.sh
printf '%s\n' "$3" | ob_put "$own/$2"
