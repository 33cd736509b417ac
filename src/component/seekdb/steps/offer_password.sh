# Makes the password of our account that is to follow, on a second line of its file (0600) behind the
# one in force, and notes LEAVE, for which it is. The password in force may itself have followed
# another one for a leave that was cut. Passes it to shell built-ins only. BASE LEAVE IN-FORCE
# needs: engine/host.sh component/seekdb/lib.sh
umask 077
{ read -r _; read -r n; } < "$own/account"
[ -z "$n" ] || ! read -r for < "$own/rotating" || [ "$for" != "$2" ] || exit 0
{
  printf '%s\n' "$3"
  tr -dc A-Za-z0-9 < /dev/urandom | head -c 32
} | ob_put "$own/account" || exit 1
printf '%s\n' "$2" | ob_put "$own/rotating"
