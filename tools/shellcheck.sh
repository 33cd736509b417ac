#!/bin/sh
# Runs shellcheck over every shell program under src, each as it is sent: behind the files that its
# comment names (`# needs: engine/host.sh`, relative to src). Two checks are left out:
# SC2015, because `a && b || c` is meant where b does not fail; SC2034, because what one program
# does not use of a library another one does.
set -eu
cd "$(dirname "$0")/../src"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
find . -name '*.sh' | sort >"$list"
bad=0
while read -r file; do
    needs=$(sed -n 's/^# needs: //p' "$file" | head -n 1)
    # shellcheck disable=SC2086
    text=$(cat $needs "$file") || bad=1
    if ! found=$(printf '%s\n' "$text" | shellcheck -s sh -e SC2015,SC2034 -); then
        echo "src/${file#./}${needs:+, behind $needs}:$found" >&2
        bad=1
    fi
done <"$list"
[ -s "$list" ] && exit $bad
echo "tools/shellcheck.sh: no shell program under src" >&2
exit 1
