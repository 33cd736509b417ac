resource "ob_cluster" "main" {
  name    = "main"
  engine  = "seekdb"
  package = data.ob_package.seekdb.package
  zones = {
    # Ports of its own: the host may have other servers.
    z1 = { servers = { s1 = {
      host     = ob_host.a.endpoint
      base_dir = "/data/seekdb-main"
      sql_port = 3881
      rpc_port = 3882
    } } }
  }
  parameters = {
    memory_limit  = "8G"
    log_disk_size = "20G"
  }
  root_password_wo         = var.root_password
  root_password_wo_version = 1
}
