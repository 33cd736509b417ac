resource "ob_database" "shop" {
  name      = "shop"
  charset   = "utf8mb4"
  collation = "utf8mb4_bin"
  instance  = ob_cluster.main.instance
}

# On whichever member of a group takes writes.
resource "ob_database" "stock" {
  name  = "stock"
  group = { for site, m in ob_standby.pair.members : site => m.instance }
}

# On a server that this provider did not deploy. It may be dropped: both lines are needed for that.
resource "ob_database" "scratch" {
  name                = "scratch"
  endpoint            = { address = "192.0.2.20", port = 2881, credential = "reporting" }
  deletion_protection = false
  allow_data_loss     = ["scratch"]
}
