# Prints what keeps a server from running in BASE: "noexec PATH" and "readonly PATH" about BASE and
# our home, and with BOOTS=1 "cron WHY" if it could not start with its host. BASE BOOTS
# needs: engine/host.sh component/seekdb/lib.sh component/host/mount.sh
for p in "$base" "${OB_STATE%/.ob}"; do
  for word in $(mount_forbids "$p"); do printf '%s %s\n' "$word" "$p"; done
done
if [ "$2" = 1 ] && cron_alone; then
  why=$(cron_forbids)
  [ -z "$why" ] || printf 'cron %s\n' "$why"
fi
:
