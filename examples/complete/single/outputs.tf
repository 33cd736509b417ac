output "endpoint" {
  description = "Where the application connects."
  value       = "${ob_cluster.db.instance.host.address}:${ob_cluster.db.instance.sql_port}"
}
