# Prints what the last start and the server's log say about why the server ended. BASE
# needs: engine/host.sh component/seekdb/lib.sh
tail -n 2 "$own/start.log" 2>/dev/null
tail -n 400 "$base/log/seekdb.log" 2>/dev/null | grep -E 'ERROR|ret=-' | tail -n 3 | cut -c1-300
:
