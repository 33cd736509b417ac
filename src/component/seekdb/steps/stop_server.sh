# Stops the server, by its unit if that started it: sends SIGTERM, and SIGKILL after TENTHS of a
# second (the redo log makes that safe). BASE UNIT FORMER LINE TENTHS
# needs: engine/host.sh transport/only_root.sh component/seekdb/lib.sh component/seekdb/boot.sh
boot_stop
sdb_end "$5"
