resource "ob_host" "a" {
  name    = "db-a"
  address = "192.0.2.11"
  region  = "shanghai"
  idc     = "sh-1"

  network = { device = "eth0", service_address = "192.0.2.11" }

  # Left out, nothing is changed on the host. The login user is root, or has the sudo rules that `ob sudoers` prints.
  prepare = {
    user                 = { name = "oceanbase" }
    directories          = { "/data/seekdb" = { mode = "0750" } }
    limits               = {}
    sysctl               = { profile = "seekdb", values = { "vm.swappiness" = "1" } }
    transparent_hugepage = "never"
    clock                = { max_offset = "500ms" }
  }
}

# Without `prepare` a host is only looked at.
resource "ob_host" "b" {
  name    = "db-b"
  address = "192.0.2.12"
}
