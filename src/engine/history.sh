# Prints the journals of this host's objects, newest operation first: at most 400, and no further
# one after 3 MiB. A line "ob-journal KEY/journal/FILE" precedes each. Arguments: [KEY], which
# limits them to one object.
# needs: engine/host.sh
cd "$OB_STATE/objects" 2>/dev/null || exit 0
if [ -n "${1:-}" ]; then set -- "$1"/journal/*.log; else set -- */journal/*.log; fi
[ -e "$1" ] || exit 0
# shellcheck disable=SC2016 # awk's own.
printf '%s\n' "$@" | awk -F/ '{ print $NF, $0 }' | sort -r | head -n 400 | cut -d' ' -f2- |
  xargs awk '
    FNR == 1 { if (size > 3145728) exit; print "ob-journal " FILENAME }
    { print; size += length($0) + 1 }'
