#!/usr/bin/env bash
# What would be published: packs every package but the example, lists what is in each, and compiles it from the archive alone. Nothing
# is uploaded. docs/releasing.md says how a release is made.
set -euo pipefail
cd "$(dirname "$0")/.."

# All at once, so that those that depend on each other find one another before crates.io has them.
cargo package --quiet --workspace --exclude model-server --locked --allow-dirty

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
for archive in target/package/*-"$version".crate; do
  # Without the folder of name and version.
  files=$(tar tzf "$archive" | cut -d/ -f2-)
  echo "-- $(basename "$archive"): $(wc -c < "$archive") bytes; files, and folders with the number of theirs:"
  awk -F/ '{ count[NF > 1 ? $1 "/" : $1]++ } END { for (name in count) print name, count[name] }' <<< "$files" | sort
  # Without these nobody may use it, or knows how.
  for file in README.md LICENSE-APACHE LICENSE-MIT; do
    if ! grep -qx "$file" <<< "$files"; then
      echo "there is no $file in it"
      exit 1
    fi
  done
done
