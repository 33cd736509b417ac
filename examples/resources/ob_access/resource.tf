# Three reads and one session for all of them, however many there are.
resource "ob_access" "main" {
  instance = ob_cluster.main.instance

  databases = {
    shop  = { charset = "utf8mb4" }
    stock = {}
  }
  users = {
    app   = { host = "10.%", password_wo = var.app_password, password_wo_version = 1 }
    audit = { locked = true }
  }
  grants = {
    "app shop" = { user = "app", host = "10.%", database = "shop", privileges = ["SELECT", "INSERT", "UPDATE", "DELETE"] }
    "audit *"  = { user = "audit", database = "*", privileges = ["SELECT"] }
  }

  # Users and privileges that are not listed here are removed, once a plan has shown them.
  exclusive = true
}
