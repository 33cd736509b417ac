output "topology" {
  description = "Who is what, and where writes go."
  value = {
    primary = ob_standby.pair.current_primary
    members = ob_standby.pair.member_status
    epoch   = ob_standby.pair.epoch
    writes  = "${ob_standby.pair.endpoint.host.address}:${ob_standby.pair.endpoint.sql_port}"
  }
}
