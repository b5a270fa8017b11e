#!/usr/bin/env bash
# What may be among the dependencies, by deny.toml: licences, duplicates, sources. Runs cargo-deny where it is installed. Elsewhere
# it asks deny.toml, Cargo.lock and `cargo metadata` itself, and says so: no advisories, and no look into the texts of licences.
set -euo pipefail
cd "$(dirname "$0")/.."

if cargo deny --version > /dev/null 2>&1; then
  exec cargo deny --workspace check -D unmatched-skip -D unnecessary-skip licenses bans sources
fi
echo 'cargo-deny is not installed: licences, duplicates and sources are asked of the lock file; advisories are not'

wrong=0
# Prints a complaint, if it has lines.
complain() {
  if [ -n "$2" ]; then
    printf '%s\n%s\n' "$1" "$2"
    wrong=1
  fi
}

# The lines of a list in deny.toml.
list() { sed -n "/^$1 = \[/,/^\]/p" deny.toml; }

locked=$(grep -c '^name = ' Cargo.lock)

registry='registry+https://github.com/rust-lang/crates.io-index'
complain 'not from crates.io:' "$(grep '^source = ' Cargo.lock | grep -vF "source = \"$registry\"" || true)"

# A skip names a version by its beginning: `rand@0.9`.
skips=$(list skip | sed -n 's/.*crate = "\([^"]*\)".*/\1/p')
versions=$(awk -F'"' '/^name = / { name = $2 } /^version = / { print name "@" $2 }' Cargo.lock)
complain 'several versions of one package, without a skip in deny.toml:' "$(awk '
  FNR == NR { skips[$0]; next }
  {
    split($0, part, "@")
    for (skip in skips) if (index($0 ".", skip ".") == 1) { used[skip]; next }
    if (part[1] in seen) print seen[part[1]] ", " $0
    seen[part[1]] = $0
  }
  END { for (skip in skips) if (!(skip in used)) print "nothing is skipped by " skip }
' <(printf '%s\n' "$skips") <(printf '%s\n' "$versions"))"

# Of alternatives one has to be allowed, and of what is joined by AND each. Where brackets nest, this refuses too much, never too little.
allowed=$(list allow | sed -n 's/^ *"\([^"]*\)".*/\1/p')
licences=$(cargo metadata --locked --all-features --format-version 1 |
  grep -o '"name":"[^"]*","version":"[^"]*","id":"[^"]*","license":\("[^"]*"\|null\)' |
  awk -F'"' '{ print $4 "@" $8 "\t" ($15 == "" ? "none" : $16) }')
complain 'licences that deny.toml does not allow:' "$(awk -F'\t' '
  FNR == NR { allowed[$0]; next }
  {
    count = split($2, terms, / AND /)
    for (i = 1; i <= count; i++) {
      gsub(/[()]/, "", terms[i])
      some = split(terms[i], choices, / OR | *\/ */)
      fine = 0
      for (j = 1; j <= some; j++) if (choices[j] in allowed) fine = 1
      if (!fine) { print $1 ": " $2; next }
    }
  }
' <(printf '%s\n' "$allowed") <(printf '%s\n' "$licences"))"

found=$(grep -c . <<< "$licences")
if [ "$found" != "$locked" ]; then
  complain 'packages by cargo metadata, and by Cargo.lock:' "$found, $locked"
fi
if [ "$wrong" = 0 ]; then echo "$locked packages: well"; fi
exit "$wrong"
