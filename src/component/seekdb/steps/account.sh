# Prints the password of our account. BASE
cat "$own/account" 2>/dev/null || :
