# One seekdb on one host, with a database and the user of an application.
terraform {
  required_version = ">= 1.11"
  required_providers {
    ob = { source = "oceanbase/ob" }
  }
}

provider "ob" {
  owner = "example-single"
  ssh = {
    identities       = { ops = { user = var.user, private_key_file = var.private_key_file } }
    known_hosts_file = var.known_hosts_file
  }
}

resource "ob_host" "db" {
  name    = "db"
  address = var.address
}

data "ob_package" "seekdb" {
  files = [{ path = var.package, sha256 = var.package_sha256 }]
}

resource "ob_cluster" "db" {
  name       = "db"
  engine     = "seekdb"
  package    = data.ob_package.seekdb.package
  zones      = { z1 = { servers = { s1 = { host = ob_host.db.endpoint, base_dir = "/data/seekdb-db" } } } }
  parameters = { memory_limit = "2G", datafile_size = "256M", log_disk_size = "2G" }

  root_password_wo         = var.root_password
  root_password_wo_version = 1

  deletion_protection = var.protect
  allow_data_loss     = var.protect ? [] : ["db"]
}

resource "ob_database" "shop" {
  name                = "shop"
  instance            = ob_cluster.db.instance
  deletion_protection = var.protect
  allow_data_loss     = var.protect ? [] : ["shop"]
}

resource "ob_user" "app" {
  name                = "app"
  password_wo         = var.app_password
  password_wo_version = 1
  instance            = ob_cluster.db.instance
}

resource "ob_grant" "app" {
  user       = ob_user.app.name
  database   = ob_database.shop.name
  privileges = ["SELECT", "INSERT", "UPDATE", "DELETE"]
  instance   = ob_cluster.db.instance
}
