# terraform test: the configuration by itself, without a host. Whatever only apply knows is made up.
mock_provider "ob" {}

variables {
  private_key_file = "/dev/null"
  known_hosts_file = "/dev/null"
  package          = "seekdb.whl"
  package_sha256   = "0000000000000000000000000000000000000000000000000000000000000000"
  root_password    = "not a secret"
}

run "the_first_site_takes_writes" {
  assert {
    condition     = ob_standby.pair.primary == "sh" && ob_cluster.db["sh"].initialize
    error_message = "sh makes the database"
  }
  assert {
    condition     = toset(keys(ob_standby.pair.members)) == toset(keys(var.sites))
    error_message = "each site is a member"
  }
}

run "the_role_moves" {
  variables {
    primary = "bj"
  }
  assert {
    condition     = ob_standby.pair.primary == "bj"
    error_message = "primary follows the variable"
  }
}
