# Adds LINE as the newest of root's kept passwords (0600); the newest four stay. Passes LINE to
# shell built-ins only, so that no process shows it in its arguments. BASE LINE
# needs: engine/host.sh component/seekdb/lib.sh
umask 077
{
  tail -n 3 "$own/root" 2>/dev/null | while IFS= read -r old; do
    [ "$old" = "$2" ] || printf '%s\n' "$old"
  done
  printf '%s\n' "$2"
} | ob_put "$own/root"
