# Prints root's kept passwords, encoded, newest last. BASE
# needs: engine/host.sh component/seekdb/lib.sh
cat "$own/root" 2>/dev/null || :
