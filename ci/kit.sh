#!/usr/bin/env bash
# The test kit from outside: a service in a crate of its own, which depends on this one by path, gets its
# scenarios by one line, under the usual harness and under its own; and every mistake that is planted in its
# registration is found, by name.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/outside.sh
outside tests/kit/fixture
unset DEADSTOP_SCENARIO DEADSTOP_PATIENCE MISTAKE
cargo build --tests --quiet

# What a test says; the first word is how it is to end.
test_says() {
  local ends=$1 args=$2 said status=0
  shift 2
  # shellcheck disable=SC2086 # several arguments
  said=$(cargo test --quiet $args 2> /dev/null) || status=$?
  if [[ $ends == well && $status != 0 || $ends == badly && $status == 0 ]]; then
    printf '%s\nMISTAKE=%s cargo test %s: ended with %s\n' "$said" "${MISTAKE-}" "$args" "$status"
    exit 1
  fi
  for words; do
    if ! grep -qF -- "$words" <<< "$said"; then
      printf '%s\nMISTAKE=%s cargo test %s: does not say: %s\n' "$said" "${MISTAKE-}" "$args" "$words"
      exit 1
    fi
  done
}

test_says well '--test each' 'running 3 tests' 'test faults/struck ... ok' '3 passed'
test_says well '--test all' '1 passed'
test_says well '--test each -- --list --format terse' 'faults/hung-predictor: test' 'sigterm: test'
test_says well '--test each -- sigterm --exact' '1 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out'
test_says well '--test each -- sigterm --show-output' 'WorkerCtx cleanup: pool' 'exit 0 (stopped) at '
DEADSTOP_SCENARIO=sigterm test_says well '--test all -- --nocapture' 'WorkerCtx cleanup: pool' 'exit 0 (stopped) at '
DEADSTOP_SCENARIO=sigterm test_says well '--test each' '1 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out'
DEADSTOP_SCENARIO=nothing test_says badly '--test all' 'DEADSTOP_SCENARIO matches none of the 3 scenarios'
test_says badly '--test none' 'there is no scenario in'
test_says badly '--test none_all' 'there is no scenario in'
test_says badly '--test wrong' \
  '`job` cannot be applied to real code' '`hold` cannot be applied to real code' \
  'no component is registered with the name "predicter"' 'did you mean "predictor"?' \
  'registered are "consumer", "db", "flusher", "pool" and "predictor"' \
  'scenarios/wrong/unknown.toml:5' 'DEADSTOP_SCENARIO=unknown cargo test -p fixture --test wrong'

test_says well '--test shut-down' 'test sigterm ... ok'
MISTAKE=waits-for-ever test_says badly '--test shut-down' \
  'FAIL sigterm: broken law ends/explained: "db" was leaked' 'run it again: cargo test -p fixture --test shut-down -- --exact sigterm'
MISTAKE=blocks-for-ever DEADSTOP_PATIENCE=1s test_says badly '--test shut-down' \
  'FAIL sigterm: the run stands still at 10.000: "db" blocks its thread on a channel'
DEADSTOP_PATIENCE=10 test_says badly '--test shut-down'

# Each mistake, under both harnesses.
finds() {
  local mistake=$1
  shift
  MISTAKE=$mistake test_says badly '--test planted -- sigterm' "$@" 'cargo test -p fixture --test planted -- --exact sigterm'
  DEADSTOP_SCENARIO=sigterm MISTAKE=$mistake test_says badly '--test planted_all' "$@"
}
finds wrong-order 'FAIL sigterm: broken law uses/closed-after-users: "predictor" was closed'
finds blocks-for-ever 'FAIL sigterm: the run stands still at 10.337: "db" blocks its thread on a channel' \
  'receive with `scope.recv(&receiver)`'
finds waits-for-ever 'FAIL sigterm: broken law ends/explained: "db" was leaked' 'after 10 s of its bound of 10 s'
finds ignores-stop 'FAIL sigterm: broken law ends/explained: "flusher" was leaked' 'after 2 s of its bound of 2 s'
finds not-biased 'they differ first where one has' 'ended consumer (#5): ok' '`select!` without `biased`'

echo 'well'
