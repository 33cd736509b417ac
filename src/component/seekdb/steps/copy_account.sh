# Keeps PASSWORD as that of our account (0600). Passes it to shell built-ins only. BASE PASSWORD
# needs: engine/host.sh component/seekdb/lib.sh
umask 077
printf %s "$2" | ob_put "$own/account"
