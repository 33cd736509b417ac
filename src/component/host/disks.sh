# Prints file systems that live on disks: name, 1 KiB blocks, free, mount point. Waits at most 10 s
# for one that hangs.
disks() { timeout 10 df -kP -l 2>/dev/null | sed -n '2,$s/^/df=/p'; }
