# A function that makes a random password, of 127 bits, which satisfies any usual policy.
# needs: engine/host.sh

# Prints 10 capitals, 10 small letters, 8 digits and 4 signs that mean nothing to a shell, to SQL, in
# an address or in a connection string. Ends with no line break.
make_password() {
  for m in 'A-Z 10' 'a-z 10' '0-9 8' '._- 4'; do
    tr -dc "${m% *}" < /dev/urandom | head -c "${m#* }"
  done
}
