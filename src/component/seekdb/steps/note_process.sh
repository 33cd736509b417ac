# Notes which process the server is, in the note NAME. A server that is to be restarted may just
# have ended; then the note restart is empty. BASE NAME
# needs: engine/host.sh component/seekdb/lib.sh
p=$(sdb_process) || [ "$2" = restart ] || { echo 'the server has ended' >&2; exit 1; }
printf %s "$p" | ob_put "$own/$2"
