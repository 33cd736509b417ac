# Makes the instance start from PACKAGE by the start script SCRIPT. BASE PACKAGE SCRIPT
# needs: engine/host.sh component/seekdb/lib.sh
printf %s "$3" | ob_put "$own/start" && chmod 700 "$own/start" &&
  ln -sfn "$OB_STATE/packages/$2" "$own/package.new" && mv -T "$own/package.new" "$own/package"
