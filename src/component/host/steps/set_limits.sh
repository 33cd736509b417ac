# Writes the file of limits. FILE TEXT
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
only_root "$1" && ob_note limits "$1" && printf %s "$2" | root tee "$1" >/dev/null
