provider "ob" {
  # Written into the marks on the hosts: the stable name of this configuration.
  owner = "prod-databases"

  ssh = {
    identities       = { prod = { user = "admin", private_key_file = "~/.ssh/prod" } }
    known_hosts_file = "~/.ssh/known_hosts"
  }
}
