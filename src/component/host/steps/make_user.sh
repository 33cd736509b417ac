# Makes a user. WORD... is the useradd command. NAME WORD...
# needs: engine/host.sh component/host/record.sh
name=$1
shift
ob_note user "$name" && root "$@"
