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

# Newer than what the other scripts need.
python_of_its_own() {
  local name
  for name in "${AUDIT_PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14; do
    if "$name" - 2>/dev/null <<<'import sys, venv, ensurepip
if sys.version_info < (3, 11): sys.exit(1)
print(sys.executable)'; then
      return
    fi
  done
  die "Schemathesis needs Python 3.11 or newer with venv, and none was found" \
    "install it (Debian, Ubuntu: sudo apt-get install -y python3-venv), or name one by AUDIT_PYTHON"
}

# One folder for each state of the lock file, moved to its place when whole; the second time is no work.
install() {
  local place new python
  place=$cache/schemathesis-$(fingerprint <"$here/schemathesis/requirements.txt")
  if [ ! -x "$place/bin/python" ]; then
    python=$(python_of_its_own)
    mkdir -p "$cache"
    new=$(mktemp -d "$cache/schemathesis.new.XXXXXX")
    say "fetching Schemathesis into $place (once)"
    { "$python" -m venv "$new" && "$new/bin/python" -m pip --quiet --disable-pip-version-check install \
      --require-hashes --requirement "$here/schemathesis/requirements.txt" >&2; } ||
      { rm -rf "$new"; die "pip could not fetch it, see above"; }
    # Another run may have been faster.
    mv -T "$new" "$place" 2>/dev/null || [ -x "$place/bin/python" ] || mv "$new" "$place"
    rm -rf "$new"
  fi
  echo "$place/bin/python"
}

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
