# Writes the file of limits. FILE TEXT
ob_note limits "$1" && printf %s "$2" | root tee "$1" >/dev/null
