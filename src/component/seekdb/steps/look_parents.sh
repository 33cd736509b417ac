# Prints "OWNER PATH" of each directory on the way to BASE, BASE included, that somebody else than
# root and the user who runs this can change: who can move a directory can put another one, with a
# start script of its own, in its place. BASE
# needs: engine/host.sh component/seekdb/lib.sh
me=$(id -u) rest=$base/ at=''
set -- /
while rest=${rest#/}; [ -n "$rest" ]; do
  at=$at/${rest%%/*} rest=${rest#*/}
  set -- "$@" "$at"
done
stat -c '%u %f %U %n' -- "$@" 2>/dev/null | while read -r u mode owner path; do
  mode=$((0x$mode))
  # A link is changed by who can write in its directory, which was looked at before.
  if [ $((mode & 0xf000)) = $((0xa000)) ]; then mode=0; fi
  if { [ "$u" != 0 ] && [ "$u" != "$me" ]; } || [ $((mode & 0x12)) != 0 ]; then
    echo "$owner $path"
  fi
done
:
