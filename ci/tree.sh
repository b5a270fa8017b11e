#!/usr/bin/env bash
# What a service compiles with Deadstop, in packages, itself included. The number may not grow unseen: if a new dependency is worth
# it, raise the ceiling below in the same commit, with the dependency's reason in ARCHITECTURE.md. If it has fallen, lower it.
set -euo pipefail
cd "$(dirname "$0")/.."

ceiling_default=24
ceiling_http=35

# Counts the packages on Linux, the same wherever this runs.
count() {
  cargo tree --locked -p deadstop -e normal --prefix none --target x86_64-unknown-linux-gnu "$@" |
    sed 's/ (\*)$//' | sort -u | grep -c .
}

wrong=0
hold() {
  local what=$1 ceiling=$2 packages
  shift 2
  packages=$(count "$@")
  if [ "$packages" != "$ceiling" ]; then
    echo "$what: $packages packages, and by ci/tree.sh $ceiling: see the head of that file"
    wrong=1
  else
    echo "$what: $packages packages"
  fi
}
hold 'deadstop' "$ceiling_default"
hold 'deadstop with http' "$ceiling_http" --features http
exit "$wrong"
