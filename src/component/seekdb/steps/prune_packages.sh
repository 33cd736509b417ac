# Removes packages from which no instance starts and contents that no package uses, when the object
# LEAVING goes. Runs twice: a file is unused once the last package with it is gone. LEAVING
# needs: engine/host.sh component/seekdb/steps/unused.sh
for _ in 1 2; do
  { unused_packages "$1" && loose_files; } |
    while IFS= read -r d; do rm -rf "$d" "$d.stamp"; done
done
rmdir "$OB_STATE/packages" "$OB_STATE/cache" 2>/dev/null
:
