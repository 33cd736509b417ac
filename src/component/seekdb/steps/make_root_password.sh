# Makes a random password for root (0600), encoded as one line, unless one is kept. BASE
# needs: engine/host.sh component/seekdb/lib.sh
umask 077
[ -s "$own/root" ] ||
  tr -dc A-Za-z0-9 < /dev/urandom | head -c 32 | base64 | ob_put "$own/root"
