terraform import ob_access.main 'ssh://admin@192.0.2.11:22/data/seekdb-main?identity=prod'
