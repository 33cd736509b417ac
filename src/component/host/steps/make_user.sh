# Makes a user. NAME WORD..., the useradd command
# needs: engine/host.sh component/host/record.sh
name=$1
shift
ob_note user "$name" && root "$@"
