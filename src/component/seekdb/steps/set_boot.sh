# Makes the instance start with its host. Installs a systemd UNIT with TEXT where we may write one
# (root, or the sudo commands of `ob sudoers`), and otherwise adds LINE to the run user's crontab.
# BASE UNIT TEXT LINE
# needs: engine/host.sh component/seekdb/lib.sh
if [ -d /run/systemd/system ] &&
  { [ "$(id -u)" = 0 ] || sudo -n -l systemctl daemon-reload >/dev/null 2>&1; }; then
  printf %s "$3" | sed "s/RUN_USER/$(id -un)/" | root tee "/etc/systemd/system/$2" >/dev/null &&
    root systemctl daemon-reload && root systemctl enable "$2" || exit 1
elif command -v crontab >/dev/null; then
  { crontab -l 2>/dev/null | grep -vxF -e "$4"; printf '%s\n' "$4"; } | crontab - || exit 1
else
  echo 'neither systemd with the rights that ob sudoers prints nor crontab is there' >&2
  exit 1
fi
: > "$own/boot"
