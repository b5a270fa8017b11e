#!/usr/bin/env bash
# The oldest versions of dependencies that the manifests allow: everything compiles with them. In a copy, since Cargo.lock changes.
# Needs a nightly toolchain, which chooses the versions; the usual one compiles.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null --files-from=- -c | tar -x -C "$copy"
cd "$copy"
cargo +nightly update -Z direct-minimal-versions
cargo check --workspace --all-targets --all-features --target-dir "$root/target/minimal"
