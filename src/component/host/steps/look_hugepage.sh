# Prints transparent huge pages now and at boot. FILE UNIT
# needs: engine/host.sh component/host/record.sh
ob_record
[ ! -r "$1" ] || printf 'now=%s\n' "$(cat "$1")"
[ ! -d /run/systemd/system ] || echo systemd=1
[ ! -e "/etc/systemd/system/$2" ] || sed 's/^/unit./' "/etc/systemd/system/$2"
:
