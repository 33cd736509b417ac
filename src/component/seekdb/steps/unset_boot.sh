# Undoes set_boot.sh. BASE UNIT LINE
# needs: engine/host.sh component/seekdb/lib.sh
if [ -e "/etc/systemd/system/$2" ]; then
  root systemctl disable "$2" && root rm -f "/etc/systemd/system/$2" &&
    root systemctl daemon-reload || exit 1
fi
if command -v crontab >/dev/null && crontab -l 2>/dev/null | grep -qxF -e "$3"; then
  left=$(crontab -l 2>/dev/null | grep -vxF -e "$3")
  if [ -n "$left" ]; then printf '%s\n' "$left" | crontab -; else crontab -r; fi || exit 1
fi
rm -f "$own/boot"
