#!/usr/bin/env bash
# What each program is made of, as CycloneDX: every crate that is linked into it, with version, licence and checksum,
# and nothing that only tests or builds it. `make sbom`.
#
#   dev/sbom.sh [TARGET]   writes audit-log.cdx.json and indexer-lambda.cdx.json into target/sbom, and prints their
#                          paths; for that target of Rust, or this machine's
#
# The same checkout gives the same files: they carry the time of its last commit.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"
cd "$here/.."

need_toolchain
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
out=$(target_dir)/sbom
tool=$("$here/tools.sh" cargo-cyclonedx)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH
mkdir -p "$out"

# is_whole PACKAGE FILE: every crate that cargo links into it is in the file.
is_whole() {
  local crate missing=0
  while read -r crate; do
    grep -qF "\"pkg:cargo/${crate/ v/@}" "$2" || { say "missing in $2: $crate"; missing=1; }
  done < <(cargo tree --locked -p "$1" --target "$target" --edges normal --prefix none --format '{p}' |
    awk '{ print $1, $2 }' | sort -u)
  return "$missing"
}

# Called as cargo would. It writes beside each manifest of the workspace, with the path of the checkout in names,
# which is nobody's business and makes two of the same differ.
for program in api:audit-log indexer-lambda:indexer-lambda; do
  package=${program%%:*} name=${program##*:}
  "$tool" cyclonedx --quiet --manifest-path "$package/Cargo.toml" --format json --spec-version 1.5 --all \
    --no-build-deps --target "$target" --override-filename sbom-of-one
  sed "s#path+file://$PWD/#path+file:///#g" "$package/sbom-of-one.json" >"$out/$name.cdx.json"
  rm -f ./*/sbom-of-one.json
  is_whole "$package" "$out/$name.cdx.json"
  echo "$out/$name.cdx.json"
done
