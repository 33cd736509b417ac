# Makes a user with the home HOME. WORD... is the useradd command. NAME HOME WORD...
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
name=$1 home=$2
shift 2
only_root "$home" && ob_note user "$name" && root "$@"
