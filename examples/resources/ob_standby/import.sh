terraform import ob_standby.pair 'ssh://admin@192.0.2.11:22/data/seekdb-sh?identity=prod'
