#!/usr/bin/env bash
# The templates for AWS (docs/aws/): linted, looked through for rights that are too wide, and deployed to an emulator.
#
#   dev/template.sh lint                  cfn-lint, and what dev/template/rights.py finds
#   dev/template.sh test DIR ZIP SEARCH   deploys them to an emulator in DIR, which it starts and drops, with the
#                                         Lambda of that zip, before an OpenSearch at that URL
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

readonly regions=(us-east-1 eu-central-1)

usage() { sed -n 's/^#   //p' "${BASH_SOURCE[0]}"; }

lint() {
  local python
  python=$(need_packages template "$here/template/requirements.txt")
  # Not by its own program, which still has the path in it where it was first installed.
  "$python" -c 'import sys; from cfnlint.runner import main; sys.exit(main())' --non-zero-exit-code warning --regions "${regions[@]}" -- "$here"/../docs/aws/*.yaml >&2
  "$python" "$here/template/rights.py" "$here/.."
}

test_deployed() {
  local zip=$2 search=$3 python
  dir=$1
  trap '"$here/emulator.sh" drop "$dir"' EXIT
  "$here/emulator.sh" start "$dir" 0 --for-template
  python=$("$here/emulator.sh" install)
  "$python" "$here/template/deployed.py" "$here/.." "$("$here/emulator.sh" url "$dir")" "$zip" "$search"
}

command=${1:-help}
[ $# -eq 0 ] || shift
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here
case $command in
  lint) lint ;;
  test) [ $# -eq 3 ] || { usage >&2; exit 2; }; test_deployed "$@" ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
