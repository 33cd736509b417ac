#!/bin/sh
# PROTOC for tf-provider's build script (.cargo/config.toml): runs tools/protoc. `make build` builds
# that first, with the libraries that build.rs needs anyway. A bare `cargo build` finds none, so
# this script builds it in a directory of its own.
here=$(dirname "$0")
target=${OUT_DIR%/*/build/*}
for program in "$target"/debug/protoc "$target"/protoc/debug/protoc; do
    [ -x "$program" ] && exec "$program" "$@"
done
exec env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_TARGET_DIR -u RUSTC_WRAPPER \
  -u RUSTC_WORKSPACE_WRAPPER -u CARGO_MAKEFLAGS -u MAKEFLAGS \
  cargo run --quiet --locked --manifest-path "$here/protoc/Cargo.toml" \
  --target-dir "$target/protoc" -- "$@"
