# Prints the name of this host.
uname -n
