#!/bin/sh
# PROTOC for tf-provider's build script (.cargo/config.toml): builds tools/protoc once, then runs it.
here=$(dirname "$0")
exec env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_TARGET_DIR -u RUSTC_WRAPPER -u RUSTC_WORKSPACE_WRAPPER -u CARGO_MAKEFLAGS -u MAKEFLAGS \
  cargo run --quiet --locked --manifest-path "$here/protoc/Cargo.toml" --target-dir "$here/protoc/target" -- "$@"
