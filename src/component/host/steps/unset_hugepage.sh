# Sets transparent huge pages back to what they were, unless somebody else set them meanwhile.
# FILE UNIT
# needs: engine/host.sh component/host/record.sh
file=$1 unit=$2
if [ -e "/etc/systemd/system/$unit" ]; then
  root systemctl disable "$unit" && root rm -f "/etc/systemd/system/$unit" &&
    root systemctl daemon-reload || exit 1
fi
noted=$(ob_noted thp) || exit 0
old=${noted%%>*} set=${noted#*>}
now=$(cat "$file" 2>/dev/null); now=${now#*[}; now=${now%%]*}
if [ "$now" = "$set" ] && [ -n "$old" ]; then
  echo "$old" | root tee "$file" >/dev/null || exit 1
fi
ob_forget thp
