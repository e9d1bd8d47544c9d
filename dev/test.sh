#!/usr/bin/env bash
# Starts what the tests need, runs all of them, stops what it started. `make test`, `make soak`.
#
#   dev/test.sh [--soak] [ARGUMENTS OF cargo test…]
#
# --soak: the long tests in full, built for release.
#
# The tests find: AUDIT_TEST_DATABASE_URL  a PostgreSQL of their own, as superuser
#                 AUDIT_TEST_PG_BIN        its programs, to make clusters that may be killed
#                 AUDIT_TEST_TIMESCALE     the script that `node` runs to serve a TimescaleDB
#                 AUDIT_TEST_AWS_URL       an emulator of SQS and Lambda
#                 AUDIT_TEST_LAMBDA        the zip with the Lambda's program
#                 AUDIT_TEST_SEARCH_URL    an OpenSearch; each test keeps to index names of its own
#                 AUDIT_TEST_BROWSER       the folder with what drives a browser, and a link to that
#                 AUDIT_TEST_SCHEMATHESIS  the Python that has Schemathesis
#                 AUDIT_TEST_LOGS          a folder that keeps the services' logs, and what none may hold
#                 AUDIT_TEST_SOAK          1 when the long tests are to run in full
#                 AUDIT_TEST_CAMPAIGN_REPORT  where the fault campaign writes its report, if anywhere
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"
cd "$here/.."

place=

# What it has complained of: a search that fails under load is often one that it refused.
tell_of_opensearch() {
  local log=$place/opensearch/server.log
  [ -f "$log" ] || return 0
  say "the last of what OpenSearch complained of:"
  grep -E '\]\[(WARN|ERROR) *\]' "$log" | cut -c1-300 | tail -n 15 >&2 || say 'nothing'
}

clean_up() {
  local code=$?
  step_failed "$code"
  trap '' INT TERM
  [ -n "$place" ] || exit "$code"
  [ "$code" = 0 ] || tell_of_opensearch
  dev/emulator.sh drop "$place/emulator" || code=1
  dev/opensearch.sh drop "$place/opensearch" || code=1
  dev/postgres.sh drop "$place/postgres" || code=1
  rm -rf "$place"
  exit "$code"
}

# Own folder and free ports: two runs can live side by side.
start_postgres() {
  dev/postgres.sh start "$place/postgres" 0 --for-tests
  AUDIT_TEST_DATABASE_URL=$(dev/postgres.sh admin-url "$place/postgres")
  AUDIT_TEST_PG_BIN=$(dev/postgres.sh find-bin)
  export AUDIT_TEST_DATABASE_URL AUDIT_TEST_PG_BIN
}

# One test sets a server's clock an hour off.
install_faketime() {
  compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null && return
  if have apt-get && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    "${sudo[@]}" apt-get update -qq && "${sudo[@]}" apt-get install -y -qq libfaketime >&2
  else
    die "the tests need libfaketime" "sudo apt-get install -y libfaketime"
  fi
}

fetch_timescale() {
  AUDIT_TEST_TIMESCALE=$(dev/timescale.sh install)
  export AUDIT_TEST_TIMESCALE
}

fetch_schemathesis() {
  AUDIT_TEST_SCHEMATHESIS=$(dev/schemathesis.sh install)
  export AUDIT_TEST_SCHEMATHESIS
}

fetch_browser() {
  AUDIT_TEST_BROWSER=$(dev/browser.sh install)
  export AUDIT_TEST_BROWSER
}

start_emulator() {
  dev/emulator.sh start "$place/emulator" 0
  AUDIT_TEST_AWS_URL=$(dev/emulator.sh url "$place/emulator")
  export AUDIT_TEST_AWS_URL
}

start_opensearch() {
  dev/opensearch.sh start "$place/opensearch" 0
  AUDIT_TEST_SEARCH_URL=$(dev/opensearch.sh url "$place/opensearch")
  export AUDIT_TEST_SEARCH_URL
}

build() { cargo build --locked --workspace --bins ${profile:+"$profile"}; }

zip_lambda() {
  dev/lambda.sh zip "$place/lambda.zip" ${profile:+"$profile"}
  export AUDIT_TEST_LAMBDA=$place/lambda.zip
}

keep_logs() {
  mkdir "$place/logs"
  export AUDIT_TEST_LOGS=$place/logs
}

# Of a whole run there are many; of a single test perhaps none.
logs_hold_nothing() {
  grep -h '"level":"' "$place/emulator/server.log" >"$place/logs/emulator.log" || true
  dev/logs.sh check "$place/logs" "$([ $# = 0 ] && echo 10000 || echo 0)"
}

# An upgrade takes an older program, which a checkout has not: two of the same are a rolling restart.
run_trials() {
  local program
  program=debug
  [ -z "$profile" ] || program=release
  program=$(target_dir)/$program/audit-log
  dev/trial.sh restore "$place/trial" "$program" "$AUDIT_TEST_LAMBDA" "$AUDIT_TEST_SEARCH_URL"
  dev/trial.sh failover "$place/trial" "$program" synchronous
  dev/trial.sh failover "$place/trial" "$program" behind
  dev/trial.sh upgrade "$place/trial" "$program" "$program" "$AUDIT_TEST_LAMBDA" "$AUDIT_TEST_SEARCH_URL"
}

run_tests() { cargo test --locked --workspace ${profile:+"$profile"} "$@"; }

profile=''
name='tests'
if [ "${1:-}" = --soak ]; then
  shift
  profile=--release
  name='tests, the long ones in full'
  export AUDIT_TEST_SOAK=1
fi

need_toolchain
begun=$SECONDS
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
place=$(mktemp -d "${TMPDIR:-/tmp}/audit-log-test.XXXXXX")
# The server may run as another user, who must be able to pass through.
chmod 711 "$place"

step 'PostgreSQL for tests' start_postgres
step 'libfaketime for tests' install_faketime
step 'TimescaleDB for tests' fetch_timescale
step 'browser for tests' fetch_browser
step 'Schemathesis for tests' fetch_schemathesis
step 'SQS and Lambda for tests' start_emulator
step 'OpenSearch for tests' start_opensearch
step 'build' build
step 'zip of the Lambda' zip_lambda
# Who names tests wants those.
if [ $# -eq 0 ]; then
  step 'templates for AWS' dev/template.sh test "$place/template" "$place/lambda.zip" "$AUDIT_TEST_SEARCH_URL"
  step 'restore, failover, rolling restart' run_trials
fi
keep_logs
step "$name" run_tests "$@"
step 'nothing of it is in a log' logs_hold_nothing "$@"
say "all tests passed ($((SECONDS - begun)) s)"
