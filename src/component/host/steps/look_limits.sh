# Prints the login user and our file of limits. FILE
# needs: engine/host.sh component/host/record.sh
ob_record
printf 'me=%s\n' "$(id -un)"
[ ! -e "$1" ] || sed 's/^/file./' "$1"
:
