# Removes the record.
rm -f "$made" && sync "${made%/*}"
