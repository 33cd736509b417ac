# Prints who listens on PORT, in four hex digits. BASE PORT
# needs: engine/host.sh component/seekdb/lib.sh
sdb_listeners "$2"
:
