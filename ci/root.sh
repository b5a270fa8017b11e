#!/usr/bin/env bash
# The tests of the root package, what a service links, as far as they are meant for this system: with everything on Linux, without
# processes elsewhere, since those tests read /proc and use commands of Linux. What comes behind is for `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."
package=(-p deadstop --no-default-features --features "process,http,serde")
if [ "$(uname -s)" = Linux ]; then
  cargo test "${package[@]}" "$@"
  exit
fi
cargo test "${package[@]}" "$@" --lib --test context --test tracing --test watchdog
cargo test "${package[@]}" "$@" --doc
