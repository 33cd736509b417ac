# Makes the password of our account that is to follow, on a second line of its file (0600) behind the
# one in force, and notes LEAVE, for which it is. The password in force may itself have followed
# another one for a leave that was cut. Passes it to shell built-ins only. BASE LEAVE IN-FORCE
# needs: engine/host.sh component/seekdb/lib.sh component/seekdb/steps/make_password.sh
umask 077
{ read -r _; read -r n; } < "$own/account"
[ -z "$n" ] || ! read -r for < "$own/rotating" || [ "$for" != "$2" ] || exit 0
{
  printf '%s\n' "$3"
  make_password
} | ob_put "$own/account" || exit 1
printf '%s\n' "$2" | ob_put "$own/rotating"
