resource "ob_user" "app" {
  name = "app"
  host = "10.%"
  # In no plan and no state; raise the version to set it again.
  password_wo         = var.app_password
  password_wo_version = 1
  instance            = ob_cluster.main.instance
}

resource "ob_user" "former" {
  name     = "former"
  locked   = true
  instance = ob_cluster.main.instance
}
