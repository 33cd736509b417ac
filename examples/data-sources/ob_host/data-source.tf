data "ob_host" "a" {
  endpoint = ob_host.a.endpoint
}

output "room" {
  value = { for at, disk in data.ob_host.a.disks : at => disk.free_bytes }
}
