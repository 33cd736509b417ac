# Writes a note of one line. BASE NAME LINE
printf '%s\n' "$3" | ob_put "$own/$2"
