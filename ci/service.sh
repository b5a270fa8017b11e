#!/usr/bin/env bash
# A service in a crate of its own, with nothing but `deadstop = { path = … }`: it is the README's example. It compiles with the number
# of packages that ci/tree.sh names, serves until SIGTERM, and ends well.
set -euo pipefail
cd "$(dirname "$0")/.."
ceiling=$(sed -n 's/^ceiling_default=//p' ci/tree.sh)
example=$(awk '/^```rust,no_run$/ { on = 1; next } /^```$/ { if (on) exit } on' README.md)
source ci/outside.sh
outside tests/service/fixture
mkdir src
printf '%s\n' "$example" > src/main.rs
cargo build --quiet

packages=$(cargo tree -e normal --prefix none --target x86_64-unknown-linux-gnu | sed 's/ .*//' | sort -u | grep -vx service)
if [ "$(wc -l <<< "$packages")" != "$ceiling" ]; then
  printf '%s\nnot %s packages\n' "$packages" "$ceiling"
  exit 1
fi
if grep -xE 'clap|toml|corosensei|serde_json' <<< "$packages"; then
  echo 'a service compiles that'
  exit 1
fi

# It says its budget once its signals are heeded; it goes on for its pre-stop delay of 3 s after SIGTERM.
mkfifo said
timeout 60 "$CARGO_TARGET_DIR/debug/service" 2> said &
service=$!
exec 3< said
IFS= read -r -t 30 -u 3 budget
kill -TERM "$service"
timeout 30 cat <&3 > rest
status=0
wait "$service" || status=$?
if [ "$status" != 0 ]; then
  printf '%s\n' "$budget"
  cat rest
  echo "the README's service ended with $status"
  exit 1
fi
echo "well: $ceiling packages"
