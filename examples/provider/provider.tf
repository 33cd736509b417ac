terraform {
  required_version = ">= 1.11"
  required_providers {
    ob = { source = "oceanbase/ob" }
  }
}

provider "ob" {
  # Written into the marks on the hosts: the stable name of this configuration.
  owner = "prod-databases"

  ssh = {
    identities       = { prod = { user = "admin", private_key_file = "~/.ssh/prod" } }
    known_hosts_file = "~/.ssh/known_hosts"
  }

  # Only for servers that this provider did not deploy.
  sql = {
    credentials = {
      reporting = {
        user     = "root"
        password = var.reporting_password
        tls      = "verify"
        ca_file  = "/etc/ssl/reporting-ca.pem"
      }
    }
  }
}
