#!/usr/bin/env bash
# A service that is built with `panic = "abort"` is warned that no step is isolated from another's panic, and it is
# not; one that is built as usual is not warned, and is.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/outside.sh
outside tests/aborts/fixture

warning='WARN deadstop: this is built with panic = "abort"'
second='second was called'

# How a build of that profile ends, with what it says.
ends() {
  local profile=$1 status=0
  cargo build --quiet --profile "$profile"
  said=$("$CARGO_TARGET_DIR/${profile/dev/debug}/aborts" 2>&1) || status=$?
  if [[ $status != "$2" ]]; then
    printf '%s\n%s: ended with %s\n' "$said" "$profile" "$status"
    exit 1
  fi
}
ends dev 1
if grep -qF "$warning" <<< "$said" || ! grep -qF "$second" <<< "$said"; then
  printf '%s\nwith unwinding: warned, or the second was not called\n' "$said"
  exit 1
fi
# SIGABRT.
ends aborts 134
if ! grep -qF "$warning" <<< "$said" || grep -qF "$second" <<< "$said"; then
  printf '%s\nwith abort: not warned, or the second was called\n' "$said"
  exit 1
fi
echo 'well'
