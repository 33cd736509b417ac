# Prints the password of our account. BASE
# needs: engine/host.sh component/seekdb/lib.sh
cat "$own/account" 2>/dev/null || :
