# Prints an account and whether there is a group of its name. NAME
# needs: engine/host.sh component/host/record.sh
ob_record
e=$(getent passwd "$1" || grep "^$1:" /etc/passwd) && {
  IFS=: read -r _ _ uid _ comment home _ <<LINE
$e
LINE
  printf 'uid=%s\ncomment=%s\nhome=%s\n' "$uid" "$comment" "$home"
}
getent group "$1" >/dev/null && echo group=1
:
