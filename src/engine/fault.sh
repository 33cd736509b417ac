# A fault point on the host: the script stops at KIND:POINT when $OB_STATE/fault names it, until
# fault.hit is removed. Only the acceptance tests send this.
# needs: engine/host.sh
ob_fault() {
  ob_at=''
  [ ! -e "$OB_STATE/fault" ] || read -r ob_at < "$OB_STATE/fault"
  [ "$ob_at" = "$1" ] || return 0
  mv -f "$OB_STATE/fault" "$OB_STATE/fault.hit"
  while [ -e "$OB_STATE/fault.hit" ]; do sleep 0.2; done
}
