# Stops the server: SIGTERM, and SIGKILL after TENTHS of a second (redo makes that safe); with
# TENTHS=0 at once. BASE TENTHS
# needs: engine/host.sh component/seekdb/lib.sh
sdb_end "$2"
