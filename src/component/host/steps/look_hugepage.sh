# Prints transparent huge pages now and at boot. FILE UNIT
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
ob_record
[ ! -r "$1" ] || printf 'now=%s\n' "$(cat "$1")"
w=$(only_root "$1" 2>&1 && only_root "/etc/systemd/system/$2" 2>&1) || printf 'unsafe=%s\n' "$w"
[ ! -d /run/systemd/system ] || echo systemd=1
[ ! -e "/etc/systemd/system/$2" ] || sed 's/^/unit./' "/etc/systemd/system/$2"
:
