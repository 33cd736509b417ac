# Keeps of our account's two passwords the one that followed. On the primary it also notes LEAVE, for
# which it was changed. BASE [LEAVE]
# needs: engine/host.sh component/seekdb/lib.sh
umask 077
{ read -r a; read -r n; } < "$own/account"
# The note comes last: until it is there, both passwords are tried.
[ -z "$n" ] || printf %s "$n" | ob_put "$own/account" || exit 1
[ -z "$2" ] || printf '%s\n' "$2" | ob_put "$own/rotated" || exit 1
rm -f "$own/rotating" && sync "$own"
