# Prints the record.
# needs: engine/host.sh component/host/record.sh
ob_record
:
