# Prints how much a copy of the store in SOURCE needs and how much is free in DIRECTORY, in KiB.
# Arguments: SOURCE DIRECTORY
[ -d "$1/store" ] && echo store=1
du -sk "$1/store" "$1/etc" 2>/dev/null | awk '{ n += $1 } END { print "needed=" n + 0 }'
df -Pk "$2" | awk 'NR == 2 { print "free=" $4 }'
