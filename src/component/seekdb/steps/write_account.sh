# Makes a password for our account (0600), unless there is one. BASE
# needs: engine/host.sh component/seekdb/lib.sh
umask 077
[ -s "$own/account" ] || tr -dc A-Za-z0-9 < /dev/urandom | head -c 32 | ob_put "$own/account"
