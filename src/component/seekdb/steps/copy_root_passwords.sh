# Keeps LINES as root's passwords, encoded, newest last (0600). Passes them to shell built-ins only.
# BASE LINES
# needs: engine/host.sh component/seekdb/lib.sh
umask 077
printf '%s\n' "$2" | ob_put "$own/root"
