#!/usr/bin/env bash
# Runs the benchmark program on a release build and a durable PostgreSQL of its own. `make bench`,
# `make bench-read`, `make bench-stream`, `make bench-overload`; for `make bench-search` on an OpenSearch, an SQS and a Lambda of its own, too.
#
#   dev/bench.sh [ARGUMENTS OF bench…] [-- ARGUMENTS OF bench…]…     (default: write)
#
# With `--` it runs several times, on the same database; the exit code is the worst of theirs.
#
# The program finds: AUDIT_BENCH_DATABASE_URL  that PostgreSQL, as the role that owns the database
#                    AUDIT_BENCH_BIN           the release build of `audit-log`
#                    AUDIT_TEST_PG_BIN         PostgreSQL's programs: it compares with pgbench
# and for `search` and `search-outage`
#                    AUDIT_BENCH_OPENSEARCH    the folder of dev/opensearch.sh
#                    AUDIT_BENCH_EMULATOR      the folder of dev/emulator.sh
#                    AUDIT_BENCH_LAMBDA        the zip with the release build of the Lambda
#
# The database lies below the project's data folder (AUDIT_DATA_DIR), not in the system's folder for
# temporary files: that may be memory, where an fsync costs nothing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"
cd "$here/.."

place=${AUDIT_DATA_DIR:-data}/bench.$$

# `stream` and `overload` open thousands of connections, and so does the service that they start.
files_min=12000

clean_up() {
  local code=$?
  step_failed "$code"
  trap '' INT TERM
  dev/emulator.sh drop "$place/emulator" || code=1
  dev/opensearch.sh drop "$place/opensearch" || code=1
  dev/postgres.sh drop "$place/postgres" || code=1
  rm -rf "$place"
  exit "$code"
}

start_postgres() {
  dev/postgres.sh start "$place/postgres" 0 --for-tests
  AUDIT_BENCH_DATABASE_URL=$(dev/postgres.sh url "$place/postgres")
  AUDIT_TEST_PG_BIN=$(dev/postgres.sh find-bin)
  export AUDIT_BENCH_DATABASE_URL AUDIT_TEST_PG_BIN
}

start_opensearch() {
  dev/opensearch.sh start "$place/opensearch" 0
  export AUDIT_BENCH_OPENSEARCH=$place/opensearch
}

start_emulator() {
  dev/emulator.sh start "$place/emulator" 0
  export AUDIT_BENCH_EMULATOR=$place/emulator
}

# Without debug information, as `dev/lambda.sh zip` has it.
zip_lambda() {
  strip --strip-debug -o "$place/bootstrap" "$target/release/indexer-lambda" 2>/dev/null ||
    cp "$target/release/indexer-lambda" "$place/bootstrap"
  dev/lambda.sh pack "$place/bootstrap" "$place/lambda.zip"
  export AUDIT_BENCH_LAMBDA=$place/lambda.zip
}

# Runs the program once for each part of the arguments.
run_each() {
  local worst=0 code part=()
  while [ $# -gt 0 ]; do
    part=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
      part+=("$1")
      shift
    done
    [ $# -eq 0 ] || shift
    code=0
    "$target/release/bench" "${part[@]}" || code=$?
    [ "$code" -le "$worst" ] || worst=$code
  done
  return "$worst"
}

# The same packages for each: with others, cargo would build what they share with other features anew.
build() { cargo build --locked --release -p api -p bench -p indexer-lambda; }

need_toolchain
[ $# -gt 0 ] || set -- write
case $1 in stream* | overload*)
  [ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge "$files_min" ] || ulimit -n "$files_min" ||
    die "this benchmark needs $files_min open files" "ulimit -n $files_min (stream: or --idle with fewer)"
  ;;
esac
step 'release build' build
target=$(target_dir)
export AUDIT_BENCH_BIN=$target/release/audit-log

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
step 'PostgreSQL for the benchmark' start_postgres
case $1 in search*)
  step 'OpenSearch for the benchmark' start_opensearch
  step 'SQS and Lambda for the benchmark' start_emulator
  step 'zip of the Lambda' zip_lambda
  ;;
esac
step "bench $*" run_each "$@"
