#!/usr/bin/env bash
# Mutants of the laws or of the context: the code is changed in small ways, one at a time, and the tests have to notice.
# What they do not notice is listed, and mended or explained in ARCHITECTURE.md. It takes hours, so the gate does not run it.
#
#   ci/mutants.sh laws                     all of the laws
#   ci/mutants.sh context -f 'src/context/limits.rs'
#
# What comes behind the first word is for cargo-mutants, which it installs where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1-}" in
  laws)
    # Each law is judged by journals written by hand, without the simulator.
    packages=(--package deadstop-harness)
    files=(-f 'harness/src/laws/*.rs')
    targets=(--cargo-arg=--lib)
    tests=(laws::)
    ;;
  context)
    packages=(--package deadstop --test-package deadstop --test-package deadstop-harness --all-features)
    files=(-f 'src/context/*.rs')
    # With every scenario and its snapshot, but without what takes its time by the clock.
    targets=(--cargo-arg=--lib)
    for test in context tracing scenarios kit laws simulator; do
      targets+=("--cargo-arg=--test=$test")
    done
    tests=(-- --skip live_steps:: --skip batons:: --skip schedules:: --skip sweep::)
    ;;
  *)
    echo "usage: ci/mutants.sh laws|context [OPTIONS OF cargo mutants]" >&2
    exit 2
    ;;
esac
shift
for argument in "$@"; do
  # Files that are named stand for all of them.
  if [ "$argument" = -f ] || [ "$argument" = --file ]; then files=(); fi
done

if ! cargo mutants --version > /dev/null 2>&1; then
  cargo install cargo-mutants --locked
fi

export CARGO_PROFILE_DEV_DEBUG=none CARGO_PROFILE_TEST_DEBUG=none
cargo mutants "${packages[@]}" "${files[@]}" "${targets[@]}" \
  --minimum-test-timeout 60 "$@" -- "${tests[@]}"
