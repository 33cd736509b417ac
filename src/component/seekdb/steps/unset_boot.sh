# Undoes set_boot.sh, whichever way the instance starts with its host. BASE UNIT FORMER LINE
# needs: engine/host.sh transport/only_root.sh component/seekdb/lib.sh component/seekdb/boot.sh
if [ -n "$unit" ]; then
  if boot_own "$units"; then boot_remove "$unit" "$units/$unit" || exit 1
  elif ! boot_foreign "$units" && boot_enabled "$units" "$unit"; then
    boot_remove "$unit" '' || exit 1
  fi
  boot_remove_user || exit 1
fi
boot_remove_former && boot_remove_line
