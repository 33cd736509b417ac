# Makes a password for our account (0600), unless there is one. BASE
# needs: engine/host.sh component/seekdb/lib.sh component/seekdb/steps/make_password.sh
umask 077
[ -s "$own/account" ] || make_password | ob_put "$own/account"
