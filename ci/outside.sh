# Makes a crate outside of the repository from a folder in it, which depends on the library by path, and goes
# there. To be sourced.
outside() {
  local root
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  crate=$(mktemp -d)
  trap 'rm -rf "$crate"' EXIT
  cp -r "$root/$1/." "$root/Cargo.lock" "$crate"
  sed "s|@DEADSTOP@|$root|" "$root/$1/Cargo.toml.in" > "$crate/Cargo.toml"
  export CARGO_TARGET_DIR="$root/target/fixture" CARGO_TERM_COLOR=never RUST_BACKTRACE=0
  cd "$crate"
}
