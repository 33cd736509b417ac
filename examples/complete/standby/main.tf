# A pair of seekdb databases on two hosts: "sh" takes writes, "bj" follows it.
terraform {
  required_version = ">= 1.11"
  required_providers {
    ob = { source = "oceanbase/ob" }
  }
}

provider "ob" {
  owner = "example-standby"
  ssh = {
    identities       = { ops = { user = var.user, private_key_file = var.private_key_file } }
    known_hosts_file = var.known_hosts_file
  }
}

resource "ob_host" "site" {
  for_each = var.sites
  name     = each.key
  address  = each.value
}

data "ob_package" "seekdb" {
  files = [{ path = var.package, sha256 = var.package_sha256 }]
}

resource "ob_cluster" "db" {
  for_each   = var.sites
  name       = each.key
  engine     = "seekdb"
  package    = data.ob_package.seekdb.package
  initialize = each.key == "sh" # the other one is built as its standby
  zones      = { z1 = { servers = { s1 = { host = ob_host.site[each.key].endpoint, base_dir = "/data/seekdb-${each.key}" } } } }
  parameters = { memory_limit = "2G", datafile_size = "256M", log_disk_size = "2G" }

  root_password_wo         = each.key == "sh" ? var.root_password : null
  root_password_wo_version = each.key == "sh" ? 1 : null

  deletion_protection = var.protect
  allow_data_loss     = var.protect ? [] : [each.key, "${each.key}/aside"]
}

resource "ob_standby" "pair" {
  name                = "pair"
  members             = { for site, db in ob_cluster.db : site => { instance = db.instance } }
  primary             = var.primary
  deletion_protection = var.protect
}
