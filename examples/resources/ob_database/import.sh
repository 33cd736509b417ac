# A server on a host of ours, and one that is reached by SQL only.
terraform import ob_database.shop 'ssh://admin@192.0.2.11:22/data/seekdb-main?identity=prod#database=shop'
terraform import ob_database.scratch 'sql://reporting@192.0.2.20:2881#database=scratch'
