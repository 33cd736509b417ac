# Sets transparent huge pages back to what they were, unless somebody else set them meanwhile.
# Removes the unit if its first line is HEADER; otherwise somebody else wrote it. FILE UNIT HEADER
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
file=$1 unit=/etc/systemd/system/$2
only_root "$file" || exit 1
first=''
[ ! -r "$unit" ] || IFS= read -r first < "$unit"
if [ "$first" = "$3" ]; then
  only_root "$unit" && root systemctl disable "$2" && root rm -f "$unit" &&
    root systemctl daemon-reload || exit 1
fi
noted=$(ob_noted thp) || exit 0
old=${noted%%>*} set=${noted#*>}
now=$(cat "$file" 2>/dev/null); now=${now#*[}; now=${now%%]*}
if [ "$now" = "$set" ] && [ -n "$old" ]; then
  echo "$old" | root tee "$file" >/dev/null || exit 1
fi
ob_forget thp
