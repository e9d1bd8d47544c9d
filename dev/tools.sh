#!/usr/bin/env bash
# The developer tools that cargo does not bring, at pinned versions, in the cache folder.
#
#   dev/tools.sh NAME   builds it if it is not there yet, and prints the path of the program
#
# AUDIT_CACHE_DIR: where they go (default: ~/.cache/audit-log). They are built, since the packaged ones
# are missing or too old for today's cargo.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

version_of() {
  case $1 in
    cargo-cyclonedx) echo 0.5.9 ;;
    cargo-deny) echo 0.20.2 ;;
    cargo-fuzz) echo 0.13.2 ;;
    cargo-llvm-cov) echo 0.9.1 ;;
    cargo-machete) echo 0.9.2 ;;
    *) die "no such tool: '$1'" "there are: cargo-cyclonedx, cargo-deny, cargo-fuzz, cargo-llvm-cov, cargo-machete" ;;
  esac
}

# Quickly built rather than quick: they run for a second.
build() {
  CARGO_TARGET_DIR=$3/target CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=false \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=false RUSTFLAGS='' \
    cargo install --quiet --locked --version "$2" --root "$3" "$1" >&2
}

[ $# -eq 1 ] || die "usage: dev/tools.sh NAME"
version=$(version_of "$1")
place=$cache/tools/$1-$version
if [ ! -x "$place/bin/$1" ]; then
  say "building $1 $version into $place (once, a minute or two)"
  build "$1" "$version" "$place" || die "cargo could not build $1, see above"
  rm -rf "$place/target"
fi
echo "$place/bin/$1"
