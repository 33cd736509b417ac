# % is %25 in an id. Without host= it is the user at %.
terraform import ob_user.app 'ssh://admin@192.0.2.11:22/data/seekdb-main?identity=prod#user=app&host=10.%25'
