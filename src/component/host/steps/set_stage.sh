# Notes the declaration, the operation and the stage in the record. DECLARED OPERATION STAGE
# needs: engine/host.sh component/host/record.sh
ob_note declared "$1" && ob_note operation "$2" && ob_note stage "$3"
