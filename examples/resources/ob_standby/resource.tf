# Two servers: only the first is initialised, the other one is built as its standby.
resource "ob_cluster" "site" {
  for_each   = { sh = ob_host.a.endpoint, bj = ob_host.b.endpoint }
  name       = each.key
  engine     = "seekdb"
  package    = data.ob_package.seekdb.package
  initialize = each.key == "sh"
  zones      = { z1 = { servers = { s1 = { host = each.value, base_dir = "/data/seekdb-${each.key}" } } } }
}

resource "ob_standby" "pair" {
  name    = "pair"
  members = { for site, db in ob_cluster.site : site => { instance = db.instance } }
  # A change is a planned switchover: no acknowledged row is lost.
  primary = "sh"
}
