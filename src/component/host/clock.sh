# Prints this host's clock, in milliseconds since 1970.
# needs: engine/host.sh
date +%s%3N
