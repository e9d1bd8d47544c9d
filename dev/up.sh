#!/usr/bin/env bash
# The whole shape on this machine, without Docker, in the background: PostgreSQL, OpenSearch, SQS and Lambda,
# the service in gateway mode, and a stand-in gateway before it. `make up`, `make down`.
#
#   dev/up.sh up        starts what does not run yet, and says where everything is; twice does no harm
#   dev/up.sh down      stops what `up` started and removes it, but for the data of log and index
#   dev/up.sh status    what runs; exit 0 when all of it does
#   dev/up.sh drop      the same as down, and the data goes, too
#
# AUDIT_DATA_DIR       all of it lies in `up` below this folder (default: data, in the project)
# AUDIT_LISTEN         where the service listens (default: 127.0.0.1:8000)
# AUDIT_GATEWAY_PORT   AUDIT_PG_PORT   AUDIT_OPENSEARCH_PORT   AUDIT_AWS_PORT
#                      ports (default: 8080, 54329, 9200, 4566); for each the next free one if it is taken
# AUDIT_BIN, AUDIT_LAMBDA_ZIP   a built `audit-log` and a built zip of the Lambda, instead of building them
#
# DIR/env  the settings of the service, for the commands of audit-log: ( . data/up/env; audit-log poke )
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"
cd "$here/.."

readonly ready_within_s=60 stop_within_s=60

usage() { sed -n 's/^# \{0,1\}//;2,/^DIR/p' "${BASH_SOURCE[0]}"; }

# ---------------------------------------------------------------- a program in the background

# pid_of NAME: the pid of what `background NAME` started, if it is still that: by the command line that was
# written down beside it.
pid_of() {
  local pid
  pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 1
  [ "$(ps -ww -o args= -p "$pid" 2>/dev/null)" = "$(cat "$dir/$1.args")" ] && echo "$pid"
}

# background NAME COMMAND…: starts it in a process group of its own, so that a Ctrl-C here does not reach it.
background() {
  local name=$1 pid
  shift
  set -m
  "$@" >>"$dir/$name.log" 2>&1 </dev/null &
  pid=$!
  set +m
  echo "$*" >"$dir/$name.args"
  echo "$pid" >"$dir/$name.pid"
}

# end NAME: asks it to stop and waits; what does not listen is killed.
end() {
  local pid deadline=$((SECONDS + stop_within_s))
  if pid=$(pid_of "$1"); then
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do
      [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$pid" 2>/dev/null || true
      sleep 0.1
    done
    say "the $1 stopped (pid $pid)"
  fi
  rm -f "$dir/$1.pid" "$dir/$1.args"
}

# await NAME PORT PATH: until it answers with 200.
await() {
  local name=$1 port=$2 path=$3 deadline=$((SECONDS + ready_within_s)) line
  until line=$(ask "$port" "$path") && [[ $line == *' 200'* ]]; do
    kill -0 "$(<"$dir/$name.pid")" 2>/dev/null ||
      { tail -n 20 "$dir/$name.log" >&2; die "the $name did not start, see above and $dir/$name.log"; }
    [ "$SECONDS" -lt "$deadline" ] ||
      die "the $name does not answer on 127.0.0.1:$port after $ready_within_s s" "see $dir/$name.log"
    sleep 0.2
  done
}

# ask PORT PATH: an HTTP request without a client; prints the first line of the answer.
ask() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET %s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' "$2" >&3
    IFS= read -r -t 5 line <&3 && printf %s "$line"
    while IFS= read -r -t 5 _ <&3; do :; done
  ) 2>/dev/null
}

# ---------------------------------------------------------------- settings

# What is set for another service must not lead ours astray; what is set for all of them stays.
forget_other_services() {
  local name
  for name in "${!AUDIT_@}"; do
    case $name in
      *_DATABASE_URL | *_DATABASE_URL_FILE | AUDIT_AUTH | AUDIT_GATEWAY_SECRET* | AUDIT_JWT_* | \
        AUDIT_QUEUE_URL | AUDIT_SEARCH_URL | AUDIT_SEARCH_AUTH | AUDIT_SEARCH_USER | AUDIT_SEARCH_PASSWORD* | \
        AUDIT_URL | AUDIT_TOKEN*) unset "$name" ;;
    esac
  done
  unset "${!AWS_@}"
}

# The port that a program of ours listens on, or else the wished one or the next that is free.
port_for() {
  if pid_of "$1" >/dev/null; then cat "$dir/$1.port"; else port_from "$2"; fi
}

make_secret() {
  [ -s "$dir/gateway-secret" ] ||
    (umask 077 && head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$dir/gateway-secret")
}

# Written for people and for us: each line a variable that is exported.
write_env() {
  local queue_url=$1
  (
    umask 077
    cat >"$dir/env" <<END
export AUDIT_LISTEN=127.0.0.1:$(<"$dir/service.port")
export AUDIT_DATABASE_URL='$(dev/postgres.sh url "$dir/postgres")'
export AUDIT_AUTH=gateway
export AUDIT_GATEWAY_SECRET_FILE='$dir/gateway-secret'
export AUDIT_TENANT_AUTOCREATE=true
export AUDIT_QUEUE_URL='$queue_url'
export AUDIT_SEARCH_URL='$(dev/opensearch.sh url "$dir/opensearch")'
export AWS_ENDPOINT_URL='$(dev/emulator.sh url "$dir/emulator")'
export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export AUDIT_URL=http://127.0.0.1:$(<"$dir/gateway.port")
END
  )
}

# ---------------------------------------------------------------- up

build() {
  if [ -z "${AUDIT_BIN:-}" ]; then
    cargo build --locked --release -p api
    bin=$(target_dir)/release/audit-log
  else
    bin=$(cd "$(dirname "$AUDIT_BIN")" && pwd)/$(basename "$AUDIT_BIN")
  fi
  if [ -z "${AUDIT_LAMBDA_ZIP:-}" ]; then
    dev/lambda.sh zip "$dir/lambda.zip" --release
  else
    cp "$AUDIT_LAMBDA_ZIP" "$dir/lambda.zip"
  fi
}

start_parts() {
  dev/postgres.sh status "$dir/postgres" 2>/dev/null ||
    dev/postgres.sh start "$dir/postgres" "$(port_from "${AUDIT_PG_PORT:-54329}")"
  dev/opensearch.sh status "$dir/opensearch" 2>/dev/null ||
    dev/opensearch.sh start "$dir/opensearch" "$(port_from "${AUDIT_OPENSEARCH_PORT:-9200}")"
  dev/emulator.sh status "$dir/emulator" 2>/dev/null ||
    dev/emulator.sh start "$dir/emulator" "$(port_from "${AUDIT_AWS_PORT:-4566}")"
}

migrate() {
  AUDIT_DATABASE_URL=$(dev/postgres.sh url "$dir/postgres") \
    AUDIT_SEARCH_URL=$(dev/opensearch.sh url "$dir/opensearch") "$bin" migrate
}

fan_out() {
  AUDIT_SEARCH_URL=$(dev/opensearch.sh url "$dir/opensearch") AUDIT_FANOUT_ZIP=$dir/lambda.zip \
    dev/emulator.sh fan-out "$dir/emulator" >"$dir/queue-url"
}

# A running service stays, unless it is older than the program or was told other things.
start_service() {
  local before=''
  before=$(cat "$dir/env" 2>/dev/null) || true
  port_for service "${listen##*:}" >"$dir/service.port.new"
  mv "$dir/service.port.new" "$dir/service.port"
  port_for gateway "${AUDIT_GATEWAY_PORT:-8080}" >"$dir/gateway.port.new"
  mv "$dir/gateway.port.new" "$dir/gateway.port"
  write_env "$(<"$dir/queue-url")"
  if pid_of service >/dev/null && [ "$before" = "$(<"$dir/env")" ] && [ ! "$bin" -nt "$dir/service.pid" ]; then
    say "the service already runs (pid $(pid_of service))"
    return
  fi
  end service
  (
    # shellcheck source=/dev/null
    . "$dir/env"
    background service "$bin" serve --listen "$AUDIT_LISTEN"
  )
  await service "$(<"$dir/service.port")" /readyz
}

start_gateway() {
  local service_port
  service_port=$(<"$dir/service.port")
  if pid_of gateway >/dev/null && [[ $(<"$dir/gateway.args") == *" $service_port "* ]]; then
    say "the gateway already runs (pid $(pid_of gateway))"
    return
  fi
  end gateway
  background gateway "$(need_python)" -u dev/gateway.py "$(<"$dir/gateway.port")" "$service_port" \
    "$dir/gateway-secret"
  await gateway "$(<"$dir/gateway.port")" /healthz
}

tell() {
  local url
  url=http://127.0.0.1:$(<"$dir/gateway.port")
  cat >&2 <<END

The audit log answers on $url (behind a stand-in gateway: choose there who you are)
  the board   $url/api/v1/logs/board
  service     http://127.0.0.1:$(<"$dir/service.port") (wants the gateway's proof), log in $dir/service.log
  OpenSearch  $(dev/opensearch.sh url "$dir/opensearch")
  SQS, Lambda $(dev/emulator.sh url "$dir/emulator"), queue $(<"$dir/queue-url")
  PostgreSQL  127.0.0.1:$(<"$dir/postgres/port"), URL by: dev/postgres.sh url $dir/postgres
  stop        make down

A tour:
  API=$url/api/v1 JSON='Content-Type: application/json'
  # record an entry: 201 means that it is committed
  curl -sS \$API/logs -H "\$JSON" -d '{"action":"UPDATE","resource_type":"invoice","message":"Grüße an Zoë"}'
  # found at once, before it is in the index ("source" and "index" say how)
  curl -sS "\$API/logs/search?q=gr%C3%BC%C3%9Fe"
  # fill it; a second or two later the index holds all of it: "complete" is counted
  ( . $dir/env; $bin emit-sample 5000 --days 30 )
  curl -sS "\$API/logs/search?q=invoice&limit=1&highlight=true&facets=action,severity"
  # somebody else: an auditor may not write
  curl -sS \$API/logs -H "\$JSON" --cookie as=auditor:alice -d '{"action":"VIEW","resource_type":"invoice"}'
  # every part, whether it is as it should be, and what the index holds
  ( . $dir/env; $bin poke )

END
}

up() {
  listen=${AUDIT_LISTEN:-127.0.0.1:8000}
  [[ $listen =~ ^(127\.0\.0\.1|localhost):[0-9]+$ ]] ||
    die "AUDIT_LISTEN=$listen: make up keeps to this machine; the service listens on 127.0.0.1 and a port"
  trap 'step_failed $?' EXIT
  # Only programs are needed that are not given.
  [ -n "${AUDIT_BIN:-}" ] && [ -n "${AUDIT_LAMBDA_ZIP:-}" ] || need_toolchain
  mkdir -p "$dir"
  # PostgreSQL may run as another user, who must be able to pass through.
  chmod 711 "$dir"
  dir=$(cd "$dir" && pwd -P)
  make_secret
  step 'build (the first time takes some minutes)' build
  step 'PostgreSQL, OpenSearch, SQS and Lambda' start_parts
  step 'migrations' migrate
  step 'queue, dead-letter queue, function, mapping' fan_out
  step 'service' start_service
  step 'gateway' start_gateway
  tell
}

# ---------------------------------------------------------------- down

stop_all() {
  [ -d "$dir" ] || { say "nothing to stop: there is no $dir"; return 0; }
  dir=$(cd "$dir" && pwd -P)
  # From the outside inwards: nobody finds the next one gone.
  end gateway
  end service
  dev/emulator.sh drop "$dir/emulator"
  dev/opensearch.sh stop "$dir/opensearch"
  dev/postgres.sh stop "$dir/postgres"
  rm -f "$dir"/{env,queue-url,lambda.zip,gateway-secret,service.port,gateway.port,service.log,gateway.log}
}

down() {
  stop_all
  [ ! -d "$dir" ] || say "kept: the log in $dir/postgres, the index in $dir/opensearch; make clean-data deletes both"
}

drop() {
  stop_all
  dev/opensearch.sh drop "$dir/opensearch"
  dev/postgres.sh drop "$dir/postgres"
  [ ! -d "$dir" ] || rmdir "$dir"
}

status() {
  local all=0
  dir=$(cd "$dir" 2>/dev/null && pwd -P) || die "nothing was started" "make up starts it"
  dev/postgres.sh status "$dir/postgres" || all=1
  dev/opensearch.sh status "$dir/opensearch" || all=1
  dev/emulator.sh status "$dir/emulator" || all=1
  for name in service gateway; do
    if pid_of "$name" >/dev/null; then
      say "the $name runs on 127.0.0.1:$(<"$dir/$name.port") (pid $(pid_of "$name"))"
    else
      say "no $name runs"
      all=1
    fi
  done
  return "$all"
}

dir=${AUDIT_DATA_DIR:-data}/up
forget_other_services
case ${1:-help} in
  up | down | status | drop) "$1" ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
