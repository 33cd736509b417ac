data "ob_host" "a" {
  connection = ob_host.a.connection
}

output "room" {
  value = { for at, disk in data.ob_host.a.disks : at => disk.free_bytes }
}
