# The record of a host's preparation: lines key=value. The line about an effect is written before
# the effect.
# needs: engine/host.sh
made=$OB_STATE/objects/host/made

# Prints the record, each line after "made.".
ob_record() { [ ! -e "$made" ] || sed 's/^/made./' "$made"; }
# Prints the record without KEY.
ob_without() {
  [ ! -e "$made" ] || while IFS= read -r ob_l; do
    case $ob_l in "$1="*) ;; *) printf '%s\n' "$ob_l" ;; esac
  done < "$made"
}
# Sets KEY to VALUE.
ob_note() { { ob_without "$1"; printf '%s=%s\n' "$1" "$2"; } | ob_put "$made"; }
# Removes KEY.
ob_forget() { ob_noted "$1" >/dev/null || return 0; ob_without "$1" | ob_put "$made"; }
# Prints the value of KEY; fails when there is none.
ob_noted() {
  [ -e "$made" ] || return 1
  while IFS= read -r ob_l; do
    case $ob_l in "$1="*) printf '%s\n' "${ob_l#"$1="}"; return 0 ;; esac
  done < "$made"
  return 1
}
