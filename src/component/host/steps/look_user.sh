# Prints an account, whether there is a group of its name, and who besides root could swap its home
# or, while there is no account, HOME. NAME HOME
# needs: engine/host.sh transport/only_root.sh component/host/record.sh
ob_record
home=''
e=$(getent passwd "$1" || grep "^$1:" /etc/passwd) && {
  IFS=: read -r _ _ uid _ comment home _ <<LINE
$e
LINE
  printf 'uid=%s\ncomment=%s\nhome=%s\n' "$uid" "$comment" "$home"
}
w=$(only_root "${home:-$2}" 2>&1) || printf 'unsafe=%s\n' "$w"
getent group "$1" >/dev/null && echo group=1
:
