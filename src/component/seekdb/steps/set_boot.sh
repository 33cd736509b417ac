# Makes the instance start with its host. Enables UNIT where root has installed the template
# ob@.service for this user and we may enable its instances; else writes UNIT with TEXT where we may
# write a unit (root, or the rights that `ob sudoers` prints); else writes it for the run user's own
# manager, if that lingers; else adds LINE to the run user's crontab. Of several entries of ours one
# is left. BASE UNIT FORMER LINE TEXT
# needs: engine/host.sh transport/only_root.sh component/seekdb/lib.sh component/seekdb/boot.sh
boot_choose || exit 1
if [ -n "$boot_by" ]; then
  boot_write "$5" && boot_ctl enable "$unit" && boot_remove_former && boot_remove_line || exit 1
  [ "$boot_by" = user ] || boot_remove_user
elif command -v crontab >/dev/null; then
  boot_add_line && boot_remove_user
else
  echo 'neither systemd with the rights that ob sudoers prints, nor a lingering manager of the' \
    'run user, nor crontab is there' >&2
  exit 1
fi
