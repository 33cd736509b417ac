#!/bin/sh
# Runs shellcheck over every shell program under src, each one as it is sent: behind the files that
# its first line names (`# needs: engine/host.sh`, relative to src).
set -eu
cd "$(dirname "$0")/../src"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
find . -name '*.sh' | sort >"$list"
bad=0
while read -r file; do
    needs=$(sed -n '1s/^# needs: //p' "$file")
    # shellcheck disable=SC2086
    text=$(cat $needs "$file") || bad=1
    if ! found=$(printf '%s\n' "$text" | shellcheck -s sh -); then
        echo "src/${file#./}${needs:+, behind $needs}:$found" >&2
        bad=1
    fi
done <"$list"
[ -s "$list" ] && exit $bad
echo "tools/shellcheck.sh: no shell program under src" >&2
exit 1
