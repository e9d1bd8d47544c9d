#!/usr/bin/env bash
# The Lambda as AWS and the emulators take it: a zip with the program `bootstrap`.
#
#   dev/lambda.sh zip OUT [--release]   builds it and writes the zip; the same program gives the same zip
#   dev/lambda.sh pack PROGRAM OUT      the zip of a program that is built already
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

usage() { sed -n 's/^#   //p' "${BASH_SOURCE[0]}"; }

# By Python, since `zip` is often missing.
pack() {
  local python
  python=$(need_python)
  "$python" "$here/../localstack/pack.py" "$1" "$2"
}

# With the features that the whole workspace gives its dependencies, a debug build shares them with the tests';
# a release is what is shipped, and has no more than it needs.
#
# Debug information is left out: it is most of a debug build, and nobody reads it there.
zip() {
  local profile=debug what=(--workspace --bin indexer-lambda) target program
  [ "${2:-}" != --release ] || profile=release what=(--release -p indexer-lambda)
  need_toolchain
  (cd "$here/.." && cargo build --locked "${what[@]}")
  target=$(cd "$here/.." && target_dir)
  program=$(mktemp "${TMPDIR:-/tmp}/bootstrap.XXXXXX")
  strip --strip-debug -o "$program" "$target/$profile/indexer-lambda" 2>/dev/null ||
    cp "$target/$profile/indexer-lambda" "$program"
  pack "$program" "$1"
  rm -f "$program"
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  zip) [ $# -ge 1 ] || { usage >&2; exit 2; }; zip "$@" ;;
  pack) [ $# -eq 2 ] || { usage >&2; exit 2; }; pack "$@" ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
