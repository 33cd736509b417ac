# Functions that the programs about a package share. The first argument is the package's id; four
# arguments follow for each file: digest, size, mode, name.
# needs: engine/host.sh
export TZ=UTC
d=$OB_STATE/packages/${1:?}
shift

# Prints the stamp of the file NAME, in the format of transport/files, whose notes publish.sh reads.
st() {
  [ -f "$d/$1" ] && [ ! -L "$d/$1" ] && stat -c '%s %i %a %y %z' -- "$d/$1" 2>/dev/null
}
# Prints the digest of the file NAME.
hash() {
  {
    if command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r; else sha256sum; fi
  } < "$d/$1" | cut -c1-64
}
