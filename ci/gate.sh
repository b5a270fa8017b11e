#!/usr/bin/env bash
# The gate: format, subjects, dependencies, lints (benches included), feature combinations, other systems, documentation, the README's
# two commands, a service, the test kit and a build with panic = "abort" from outside, packages, live runs.
# Needs a Rust toolchain, and a C compiler for the SQLite of the example. Stops at the first thing that is wrong.
set -euo pipefail
cd "$(dirname "$0")/.."

# No debug information and no incremental state: half the time and half the disk, and the same verdict.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=none CARGO_TERM_COLOR=never

step() { printf '\n== %s\n' "$*"; }

step 'format'
if ! cargo fmt --version > /dev/null 2>&1 || ! cargo clippy --version > /dev/null 2>&1; then
  rustup component add rustfmt clippy
fi
cargo fmt --check

step 'the subjects of commits'
# Earlier ones stay as they are. A checkout without its history has nothing to ask.
long=$(git log --no-merges --since=2026-11-30T00:00:00Z --format=%s 2> /dev/null | awk 'length > 72' || true)
if [ -n "$long" ]; then
  printf 'shorten to 72 characters:\n%s\n' "$long"
  exit 1
fi

step 'dependencies: licences, duplicates and sources; what a service compiles'
ci/supply.sh
ci/tree.sh

step 'clippy, and every combination of features'
cargo clippy --workspace --all-targets --all-features -- -D warnings
# The example as it is built, where nobody else asks for more of the library.
cargo clippy -p model-server --lib --bins -- -D warnings
for features in '' process http serde process,http process,http,serde; do
  echo "-- features: ${features:-none}"
  cargo clippy -p deadstop --lib --no-default-features --features "$features" -- -D warnings
done
for features in '' live; do
  echo "-- features of the harness: ${features:-none}"
  cargo clippy -p deadstop-harness --lib --features "$features" -- -D warnings
done

step 'macOS and Windows: it compiles there'
if rustup target add aarch64-apple-darwin x86_64-pc-windows-gnu; then
  cargo check -p deadstop -p deadstop-harness --lib --all-features --target aarch64-apple-darwin
  cargo check -p deadstop --lib --features http,serde --target x86_64-pc-windows-gnu
  cargo check -p deadstop-harness --lib --target x86_64-pc-windows-gnu
else
  echo 'not asked: their standard libraries cannot be had here'
fi

step 'the oldest Rust that is promised: it compiles there'
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if rustup toolchain install "$oldest" --profile minimal; then
  # In a folder of its own, since each compiler builds all dependencies anew where it finds the other's.
  cargo "+$oldest" check -p deadstop -p deadstop-harness -p deadstop-cli --all-targets --all-features --target-dir target/oldest
else
  echo "not asked: Rust $oldest cannot be had here"
fi

step 'the documentation'
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features

step 'the README: every scenario through the gate'
cargo run --release -- check

step 'the README: the tests'
cargo test

# Some need tools of the system, and rights: what cannot be tested here is said.
ignored=$(cargo test -q -p deadstop --all-features --test process -- --list --ignored | grep ': test$' || true)
if [ -n "$ignored" ]; then printf 'note: these cannot run here:\n%s\n' "$ignored"; fi

step 'the README: its service, from a crate of its own'
ci/service.sh

step 'the test kit, from a crate of its own'
ci/kit.sh

step 'a service built with panic = "abort"'
ci/aborts.sh

step 'the packages: packed, and compiled from their archives alone'
ci/package.sh

step 'the library without http and serde'
cargo test -p deadstop --no-default-features --features process

step 'the scenarios under many seeds, and in another count of jobs'
cargo run --release --quiet -- check --seed 0..50
cargo run --release --quiet -- check --jobs 1

step 'the scenarios live, three times: real threads, signals and sockets'
cargo run --release --quiet -- live --times 3

step 'random scenarios live, against their simulation'
cargo run --release --quiet -- live --random 400 --seed 1

step 'well'
