#!/usr/bin/env bash
# Schemathesis: requests made from the OpenAPI document of a running service, and its answers held against that. Before
# that: whether it is OpenAPI at all.
# `schemathesis.sh help` says how to use it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

usage() {
  cat <<'USAGE'
usage: dev/schemathesis.sh install
       dev/schemathesis.sh read FILE
       dev/schemathesis.sh run BASE [ARGUMENTS OF st run…]

  install   fetch it into the cache; prints the Python that has it
  read      whether a file is OpenAPI as its specification says
  run       all checks on the service at BASE, like http://127.0.0.1:8000 after `make run`; useful arguments are
            --seed N, --max-examples N, --max-time SECONDS, --include-path PATH

How it proves who it is, in gateway mode: AUDIT_TEST_CONTRACT_SECRET, AUDIT_TEST_CONTRACT_TENANT, AUDIT_TEST_CONTRACT_ROLE
(admin unless said). In dev mode nothing is needed.

AUDIT_PYTHON     the Python to use (3.11 or newer); else one is looked for
AUDIT_CACHE_DIR  where the packages go (default: ~/.cache/audit-log)
USAGE
}

# A newer Python than the other scripts need.
install() { need_packages schemathesis "$here/schemathesis/requirements.txt" 11; }

read_document() { "${AUDIT_TEST_SCHEMATHESIS:-$(install)}" -m openapi_spec_validator "$1"; }

# Its own files go to a folder that is gone afterwards: hypothesis keeps examples where it runs.
run() {
  local base=$1 python place code=0
  shift
  python=${AUDIT_TEST_SCHEMATHESIS:-$(install)}
  place=$(mktemp -d "${TMPDIR:-/tmp}/audit-log-contract.XXXXXX")
  (
    cd "$place"
    export PYTHONPATH=$here/schemathesis
    export AUDIT_TEST_CONTRACT_SECRET=${AUDIT_TEST_CONTRACT_SECRET:-none} AUDIT_TEST_CONTRACT_ROLE=${AUDIT_TEST_CONTRACT_ROLE:-admin}
    export AUDIT_TEST_CONTRACT_TENANT=${AUDIT_TEST_CONTRACT_TENANT:-00000000-0000-7000-8000-000000000001}
    exec "$python" -m schemathesis.cli --config-file "$here/schemathesis/schemathesis.toml" run \
      "$base/openapi.json" --no-color --suppress-health-check all "$@"
  ) || code=$?
  rm -rf "$place"
  return "$code"
}

case ${1:-help} in
  install) install ;;
  read)
    [ $# = 2 ] || { usage >&2; exit 2; }
    read_document "$2"
    ;;
  run)
    [ $# -ge 2 ] || { usage >&2; exit 2; }
    shift
    run "$@"
    ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
