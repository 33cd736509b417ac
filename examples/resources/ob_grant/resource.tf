resource "ob_grant" "app" {
  user       = ob_user.app.name
  host       = ob_user.app.host
  database   = ob_database.shop.name
  privileges = ["SELECT", "INSERT", "UPDATE", "DELETE"]
  instance   = ob_cluster.main.instance
}

# One table, with the right to pass it on.
resource "ob_grant" "prices" {
  user              = ob_user.app.name
  host              = ob_user.app.host
  database          = ob_database.shop.name
  table             = "prices"
  privileges        = ["ALTER"]
  with_grant_option = true
  instance          = ob_cluster.main.instance
}
