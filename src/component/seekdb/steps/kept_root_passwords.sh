# Prints root's kept passwords, encoded, newest last. BASE
cat "$own/root" 2>/dev/null || :
