# Keeps other users of the host out of the directories that hold rows, settings and logs. What the
# server makes below them keeps its rights. BASE
# needs: engine/host.sh component/seekdb/lib.sh
for d in store etc log run; do
  [ ! -d "$base/$d" ] || chmod o-rwx "$base/$d" || exit 1
done
