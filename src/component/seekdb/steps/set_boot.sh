# Makes the instance start with its host. Enables UNIT where root has installed the template
# ob@.service for this user and we may enable its instances; else writes UNIT with TEXT where we may
# write a unit (root, or the rights that `ob sudoers` prints); else adds LINE to the run user's
# crontab. Of several entries of ours one is left. BASE UNIT FORMER LINE TEXT
# needs: engine/host.sh transport/only_root.sh component/seekdb/lib.sh component/seekdb/boot.sh
me=$(id -un) template=$units/ob@.service
# Everybody may read a unit, the user who runs its server too.
umask 022
may() { [ "$(id -u)" = 0 ] || sudo -n -l -- "$@" >/dev/null 2>&1; }
# Whether the template starts servers as this user, and only root could have written it.
ours() {
  boot_runs "$template" '/%I/.ob/start' && grep -qxF "User=$me" "$template" &&
    [ "$(stat -c %U "$template")" = root ] && only_root "$template"
}
file=''
if [ -n "$unit" ] && [ -d /run/systemd/system ]; then
  if boot_foreign; then
    echo "$units/$unit is somebody else's, or a link" >&2
    exit 1
  fi
  if ours && may systemctl enable "$unit"; then file=$template
  elif may tee "$units/$unit"; then file=$units/$unit; fi
fi
if [ -n "$file" ]; then
  if [ "$file" != "$template" ]; then
    only_root "$file" &&
      printf %s "$5" | sed "s/RUN_USER/$me/" | root tee "$file" >/dev/null &&
      root systemctl daemon-reload || exit 1
  fi
  root systemctl enable "$unit" && boot_remove_former && boot_remove_line
elif command -v crontab >/dev/null; then
  t=$(boot_crontab) || exit 1
  {
    [ -z "$t" ] || printf '%s\n' "$t" | grep -vxF -e "$line"
    printf '%s\n' "$line"
  } | crontab -
else
  echo 'neither systemd with the rights that ob sudoers prints nor crontab is there' >&2
  exit 1
fi
