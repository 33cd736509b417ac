resource "ob_standby" "pair" {
  name = "pair"
  members = {
    sh = { instance = ob_cluster.sh.instance } # initialize = true
    bj = { instance = ob_cluster.bj.instance } # initialize = false
  }
  # A change is a planned switchover: no acknowledged row is lost.
  primary = "sh"
}
