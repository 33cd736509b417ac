# Keeps other users of the host out of what holds rows, settings, logs and passwords. What the
# server makes below them keeps its rights. BASE
# needs: engine/host.sh component/seekdb/lib.sh
for d in store etc log run .ob .ob/account .ob/root; do
  [ ! -e "$base/$d" ] || chmod go-rwx "$base/$d" || exit 1
done
