# Stops the server: sends SIGTERM, and SIGKILL after TENTHS of a second (the redo log makes that
# safe); with TENTHS=0 sends SIGKILL at once. BASE TENTHS
# needs: engine/host.sh component/seekdb/lib.sh
sdb_end "$2"
