resource "ob_host" "a" {
  name    = "db-a"
  address = "192.0.2.11"
  region  = "shanghai"
  idc     = "sh-1"
}
