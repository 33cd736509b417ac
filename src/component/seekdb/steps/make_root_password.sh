# Makes a random password for root (0600), encoded as one line, unless one is kept. BASE
# needs: engine/host.sh component/seekdb/lib.sh component/seekdb/steps/make_password.sh
umask 077
[ -s "$own/root" ] || make_password | base64 | ob_put "$own/root"
