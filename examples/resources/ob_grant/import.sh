# The user, its host (% when left out) and the place: database=, database= with table=, or pattern=.
terraform import ob_grant.app 'ssh://admin@192.0.2.11:22/data/seekdb-main?identity=prod#user=app&host=10.%25&database=shop'
terraform import ob_grant.prices 'ssh://admin@192.0.2.11:22/data/seekdb-main?identity=prod#user=app&host=10.%25&database=shop&table=prices'
