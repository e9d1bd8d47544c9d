#!/usr/bin/env bash
# The service with all it needs, on this machine alone, until Ctrl-C. `make run`.
#
# AUDIT_DATABASE_URL  use this PostgreSQL; else one is set up in AUDIT_DATA_DIR
# AUDIT_DATA_DIR      where its data lies (default: data, in the project)
# AUDIT_PG_PORT       its port (default: 54329, or the next free one)
# AUDIT_LISTEN        where the service listens (default: 127.0.0.1:8000)
# AUDIT_AUTH          default here: dev, every caller is an admin
# AUDIT_BIN           a built `audit-log` to run, instead of building one
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"
cd "$here/.."

readonly ready_within_s=60
export AUDIT_LISTEN=${AUDIT_LISTEN:-127.0.0.1:8000} AUDIT_AUTH=${AUDIT_AUTH:-dev}
postgres=${AUDIT_DATA_DIR:-data}/postgres
service='' started_postgres=false asked_to_stop=false asked_at=0

# ---------------------------------------------------------------- address

# Sets `host` and `port`: where to reach what AUDIT_LISTEN says.
read_address() {
  port=${AUDIT_LISTEN##*:}
  host=${AUDIT_LISTEN%:*}
  [[ $AUDIT_LISTEN == *:* && $port =~ ^[0-9]+$ && $port -gt 0 && $port -lt 65536 ]] ||
    die "AUDIT_LISTEN=$AUDIT_LISTEN is no address with a port" \
      "for example: AUDIT_LISTEN=127.0.0.1:8001 make run"
  case $host in
    0.0.0.0 | '[::]') host=127.0.0.1 ;;
    '['*) host=${host//[][]/} ;;
  esac
}

# ask PATH: an HTTP request without a client; the first line of the answer goes to `answer`.
ask() {
  answer=$(
    exec 2>/dev/null 3<>"/dev/tcp/$host/$port" || exit 1
    printf 'GET %s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' "$1" >&3
    IFS= read -r -t 5 line <&3 && printf %s "$line"
    # To its end, or the service would see a connection that broke.
    while IFS= read -r -t 5 _ <&3; do :; done
  )
}

# ---------------------------------------------------------------- steps

prepare_database() {
  if [ -n "${AUDIT_DATABASE_URL:-}${AUDIT_DATABASE_URL_FILE:-}" ]; then
    where='the PostgreSQL that AUDIT_DATABASE_URL names'
    say "using $where"
    return
  fi
  where=$(cd "$(dirname "$postgres")" 2>/dev/null && pwd)/postgres || where=$postgres
  if [ -d "$postgres" ] && dev/postgres.sh status "$postgres" 2>/dev/null; then
    say "using the PostgreSQL that already runs in $where"
  else
    started_postgres=true
    dev/postgres.sh start "$postgres" "$(port_from "${AUDIT_PG_PORT:-54329}")"
    where=$(cd "$postgres/.." && pwd)/postgres
  fi
  AUDIT_DATABASE_URL=$(dev/postgres.sh url "$postgres")
  export AUDIT_DATABASE_URL
}

build() { cargo build --locked --release -p api; }

migrate() { "$bin" migrate; }

# In a process group of its own: a Ctrl-C in the terminal reaches this script alone, which then asks the
# service to stop, once, and PostgreSQL after it.
serve() {
  set -m
  "$bin" serve </dev/null &
  service=$!
  set +m
}

wait_until_ready() {
  local deadline=$((SECONDS + ready_within_s))
  until ask /readyz && [[ $answer == *' 200'* ]]; do
    kill -0 "$service" 2>/dev/null || return 0
    if [ "$SECONDS" -ge "$deadline" ]; then
      say "the service is not ready after $ready_within_s s: see /readyz and its log; still waiting"
      deadline=$((SECONDS + ready_within_s))
    fi
    sleep 0.2
  done
}

tell() {
  local url=http://$host:$port entry
  entry='{"action":"CREATE","resource_type":"invoice","resource_id":"inv-1","message":"first entry"}'
  [[ $host != *:* ]] || url=http://[$host]:$port
  say ""
  say "The audit log answers on $url"
  [ "$AUDIT_AUTH" != dev ] || say "(development: every caller is an admin; for this machine only)"
  say ""
  say "  record an entry  curl -sS $url/api/v1/logs -H 'content-type: application/json' -d '$entry'"
  say "  look at the log  $url/api/v1/logs/board"
  say "  data             $where"
  say "  stop             Ctrl-C; the data stays"
  say ""
}

# ---------------------------------------------------------------- stopping

# The first time the service finishes what it has begun; the second time it is not asked.
on_signal() {
  if $asked_to_stop; then
    # One that comes with the first is the same: make passes on what its group got as well.
    [ $((SECONDS - asked_at)) -ge 2 ] || return 0
    [ -z "$service" ] || kill -KILL "$service" 2>/dev/null || true
    return 0
  fi
  asked_to_stop=true asked_at=$SECONDS
  if [ -z "$service" ]; then exit 130; fi
  say "stopping (again to stop at once)"
  kill -TERM "$service" 2>/dev/null || true
}

clean_up() {
  local code=$?
  step_failed "$code"
  trap '' INT TERM HUP
  if [ -n "$service" ] && kill -0 "$service" 2>/dev/null; then
    kill -TERM "$service" 2>/dev/null || true
    wait "$service" 2>/dev/null || true
  fi
  if $started_postgres; then dev/postgres.sh stop "$postgres" || true; fi
  exit "$code"
}

# A signal interrupts `wait`, so it is called until the service is gone; then it says how that ended.
await_end() {
  local code=0
  while kill -0 "$service" 2>/dev/null; do wait "$service" || true; done
  wait "$service" || code=$?
  service=''
  if ! $asked_to_stop; then
    [ "$code" -eq 0 ] || die "the service ended by itself with code $code, see above"
    say "the service was stopped by somebody else"
  fi
  [ "$code" -eq 0 ] || say "the service was asked to stop and ended with code $code"
  exit "$code"
}

trap clean_up EXIT
trap on_signal INT TERM HUP
read_address
if port_taken "$port" "$host"; then
  die "$AUDIT_LISTEN is taken" "choose another: AUDIT_LISTEN=127.0.0.1:$(port_from $((port + 1))) make run"
fi

bin=${AUDIT_BIN:-}
if [ -z "$bin" ]; then
  need_toolchain
  step 'build (the first time takes some minutes)' build
  bin=$(target_dir)/release/audit-log
fi

step 'database' prepare_database
step 'migrations' migrate
serve
wait_until_ready
if kill -0 "$service" 2>/dev/null && ! $asked_to_stop; then tell; fi
await_end
