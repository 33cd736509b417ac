# Prints what starts the instance with its host, each as it works there. BASE UNIT FORMER LINE
# needs: engine/host.sh transport/only_root.sh component/seekdb/lib.sh component/seekdb/boot.sh
if [ -n "$unit" ]; then
  if boot_foreign "$units"; then echo foreign=1
  elif boot_enabled "$units" "$unit"; then echo unit=1; boot_works || echo broken=1; fi
  boot_own "$units" && echo own=1
  if boot_own "$own_units"; then
    echo own=1
    boot_enabled "$own_units" "$unit" && boot_lingers && echo user=1
  fi
fi
boot_former && { echo own=1; boot_enabled "$units" "$former" && echo former=1; }
command -v crontab >/dev/null && crontab -l 2>/dev/null | while IFS= read -r l; do
  [ "$l" != "$line" ] || echo line=1
done
:
