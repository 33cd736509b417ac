# Notes which process the server is. One that is to be restarted may have ended just now. BASE NAME
# needs: engine/host.sh component/seekdb/lib.sh
p=$(sdb_process) || [ "$2" = restart ] || { echo 'the server has ended' >&2; exit 1; }
printf %s "$p" | ob_put "$own/$2"
