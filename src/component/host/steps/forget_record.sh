# Removes the record.
# needs: engine/host.sh component/host/record.sh
rm -f "$made" && sync "${made%/*}"
