# Makes the password of our account that is to follow, on a second line of its file (0600), unless
# there is one. BASE
# needs: engine/host.sh component/seekdb/lib.sh
umask 077
{ read -r a; read -r n; } < "$own/account"
[ -n "$a" ] || { echo 'there is no account' >&2; exit 1; }
[ -n "$n" ] || {
  printf '%s\n' "$a"
  tr -dc A-Za-z0-9 < /dev/urandom | head -c 32
} | ob_put "$own/account"
