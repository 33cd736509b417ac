terraform import ob_host.a 'ssh://admin@192.0.2.11:22/db-a?identity=prod'
