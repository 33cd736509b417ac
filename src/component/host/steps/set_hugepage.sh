# Sets transparent huge pages to WANT. Where systemd runs, also installs UNIT with TEXT, which sets
# them at boot. Notes first what was there before our first change. FILE UNIT WANT TEXT
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
file=$1 unit=/etc/systemd/system/$2 want=$3
only_root "$file" && only_root "$unit" || exit 1
noted=$(ob_noted thp) && old=${noted%%>*} || { old=$(cat "$file"); old=${old#*[}; old=${old%%]*}; }
ob_note thp "$old>$want" && echo "$want" | root tee "$file" >/dev/null || exit 1
[ -d /run/systemd/system ] || exit 0
printf %s "$4" | root tee "$unit" >/dev/null &&
  root systemctl daemon-reload && root systemctl enable "$2"
