# needs: transport/files/lib.sh
# Says of each file whether it is the same, was linked from the cache, or is missing.
# Arguments: CACHE DEST DEEP, then KEY SIZE NAME of each file.
cache=$1 dest=$2 deep=$3
shift 3
mkdir -p -- "$cache" "$dest" || exit 9
# One look at a time: two that link the same file would take away each other's temporary names.
if ! { exec 5<"$cache" && flock -w 50 5; }; then
  echo "another run is placing files into $cache" >&2
  exit 9
fi
find "$cache" -maxdepth 1 -name '*.partial' -mmin +600 -delete 2>/dev/null

# Whether FILE is what it should be: by its stamp, else by its digest.
good() {
  [ -f "$1" ] && [ ! -L "$1" ] && s=$(st "$1") || return 1
  case $s in "$size "*" $mode "*) ;; *) return 1 ;; esac
  [ "$deep" = 0 ] && grep -qxF -- "$s $1" "$cache/$key.stamp" 2>/dev/null && return 0
  [ "$(hash <"$1")" = "$sha" ] || return 1
  note "$1" "$cache/$key.stamp"
}

one() {
  key=$1 sha=${1%%-*} mode=${1##*-} size=$2 c=$cache/$1 d=$dest/$3
  if good "$d"; then
    echo same
    return
  fi
  if ! good "$c"; then
    rm -f -- "$c" "$c.stamp"
    echo missing
    return
  fi
  if [ -d "$d" ] && [ ! -L "$d" ]; then
    echo "$d is a folder" >&2
    exit 9
  fi
  n=$d.ob-new
  mkdir -p -- "${d%/*}" && rm -f -- "$n" || exit 9
  ln -- "$c" "$n" 2>/dev/null || cp --reflink=auto -p -- "$c" "$n" || {
    rm -f -- "$n"
    exit 9
  }
  mv -f -- "$n" "$d" && sync -- "${d%/*}" || exit 9
  [ "$(wc -l <"$c.stamp")" -lt 64 ] || : >"$c.stamp"
  note "$c" "$c.stamp"
  note "$d" "$c.stamp"
  echo linked
}

while [ $# -ge 3 ]; do
  one "$1" "$2" "$3"
  shift 3
done
stat -f -c 'available %a %S' -- "$cache"
