# Makes a user. NAME WORD..., the useradd command
name=$1
shift
ob_note user "$name" && root "$@"
