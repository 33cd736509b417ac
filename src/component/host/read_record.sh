# Prints the record.
# needs: component/host/record.sh
ob_record
:
