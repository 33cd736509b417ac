# Prints the TCP ports that somebody listens on, in hex.
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
  awk '$4 == "0A" { n = split($2, a, ":"); print a[n] }'
