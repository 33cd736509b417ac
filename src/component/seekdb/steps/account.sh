# Prints the password of our account, the one that is to follow, if any, and who listens on PORT, in
# four hex digits. BASE PORT
# needs: engine/host.sh component/seekdb/lib.sh
{ read -r a; read -r n; } 2>/dev/null < "$own/account"
printf 'account=%s\nnext=%s\n' "${a:-}" "${n:-}"
for l in $(sdb_listeners "$2"); do echo "listener.$l=1"; done
:
