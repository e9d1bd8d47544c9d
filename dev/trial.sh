#!/usr/bin/env bash
# What an operator does, tried on real parts under load; each ends with a line for what was seen, or with code 1.
# docs/operations.md tells what came of it.
#
#   dev/trial.sh restore DIR PROGRAM ZIP SEARCH         a point-in-time restore, with the index mended after it
#   dev/trial.sh upgrade DIR OLD NEW ZIP SEARCH         a rolling upgrade, back, and forward again
#   dev/trial.sh failover DIR PROGRAM synchronous       to a standby that confirms every commit
#   dev/trial.sh failover DIR PROGRAM behind            to one that has not got everything
#   dev/trial.sh balancer DIR PROGRAM NGINX             nginx before replicas in jwt mode, beside a gateway
#
# DIR is made, and gone afterwards. PROGRAM, OLD and NEW are built `audit-log`s, ZIP is the Lambda's, SEARCH the URL of
# an OpenSearch, NGINX the program.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

usage() { sed -n 's/^#   //p' "${BASH_SOURCE[0]}"; }

clean_up() {
  local code=$?
  [ "$code" = 0 ] || grep -hE '"level":"(WARN|ERROR)"' "$dir"/service-*.log | tail -n 5 >&2 || true
  "$here/emulator.sh" drop "$dir/emulator" || code=1
  "$here/postgres.sh" drop "$dir/postgres" || code=1
  rm -rf "$dir"
  exit "$code"
}

name=${1:-help}
case $name:$# in
  restore:5 | upgrade:6 | failover:4 | balancer:4) shift ;;
  help:*) usage; exit ;;
  *) usage >&2; exit 2 ;;
esac
dir=$1
[ ! -e "$dir" ] || die "$dir is there already: choose another"
mkdir -p "$dir"
# PostgreSQL may run as another user, who must be able to pass through.
chmod 711 "$dir"
dir=$(cd "$dir" && pwd -P)
trap clean_up EXIT
shift
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here "$(need_python)" "$here/trials/$name.py" "$dir" "$@"
