#!/usr/bin/env bash
# SQS and Lambda of our own, in one process: own folder, own port, loopback only, nothing kept over a stop.
# It runs the real Lambda binary behind an event source mapping. `emulator.sh help` says how to use it.
#
# DIR/port, DIR/pid  of the process, which leads a process group of its own: the functions' workers are in it
# DIR/server.log     what it and the functions say
# DIR/tmp            where it unpacks functions
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

readonly answer_within_s=60 stop_within_s=10

# What an emulator takes for an account. No profile of the user's may lead us to a real one.
readonly region=us-east-1

# What the product needs; and, to deploy docs/aws/template.yaml, all that is in it, with rights that count.
readonly services=sqs,lambda,iam,sts,logs
readonly template_services=$services,cloudformation,s3,secretsmanager,monitoring,apigateway,cognito-idp

usage() {
  cat <<'END'
usage: dev/emulator.sh COMMAND

  install          fetch it into the cache; prints the Python that has it, and botocore
  start DIR PORT [--for-template]
                   start one and wait until it answers; PORT 0 takes a free one, or the port it had before;
                   twice does no harm; --for-template: more services, and rights count
  stop DIR         stop the one of DIR with its functions' workers, and no other
  pid DIR          its process, to be paused or killed
  status DIR       exit 0 when it runs
  url DIR          its address, for AWS_ENDPOINT_URL
  fan-out DIR|URL  make the queue, the dead-letter queue, the function and the mapping between them, in the
                   emulator of DIR or at a URL: localstack/ready.d/fan-out.py, which names the settings;
                   prints the queue's URL
  drop DIR         stop, then delete the folder

Queues and what is in them are gone after a stop. The log is not: what was lost is sent again from there.

AUDIT_PYTHON     the Python to use (3.10 or newer); else one is looked for
AUDIT_CACHE_DIR  where the packages go (default: ~/.cache/audit-log)
END
}

install() { need_packages emulator "$here/emulator/requirements.txt"; }

# The pid of DIR's emulator, if it still is one: a number in a file may by now be anybody's.
server_pid() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 1
  case $(ps -ww -o args= -p "$pid" 2>/dev/null) in
    *"folder=$1 -m ministack") echo "$pid" ;;
    *) return 1 ;;
  esac
}

# The functions' workers: what runs from DIR/tmp. They outlive an emulator that was killed.
workers() {
  ps -ww -eo pid=,args= | awk -v place="$1/tmp/" 'index($2, place) == 1 { print $1 }'
}

# Its environment is exactly this: what stands in ours would reach the functions.
launch() {
  local dir=$1 port=$2 python=$3 settings=(SERVICES="$services")
  [ "$4" != template ] || settings=(SERVICES="$template_services" AUTH=true)
  set -m
  env -i PATH="$PATH" HOME="$dir" TMPDIR="$dir/tmp" LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1 \
    BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 GATEWAY_PORT="$port" MINISTACK_REGION="$region" \
    IOT_MTLS_ENABLED=0 \
    "${settings[@]}" \
    "$python" -X folder="$dir" -m ministack >>"$dir/server.log" 2>&1 </dev/null &
  echo "$!" >"$dir/pid"
  set +m
}

answers() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET /_ministack/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' >&3
    IFS= read -r -t 5 line <&3 && [[ $line == *' 200'* ]]
  ) 2>/dev/null
}

start() {
  local dir port=$2 kind=plain pid begun=$SECONDS python
  [ "${3:-}" != --for-template ] || kind=template
  mkdir -p "$1"
  dir=$(cd "$1" && pwd -P)
  if pid=$(server_pid "$dir"); then
    say "the emulator already runs on 127.0.0.1:$(<"$dir/port") (pid $pid)"
    return
  fi
  end_workers "$dir"
  python=$(install)
  if [ "$port" -eq 0 ]; then
    port=$(cat "$dir/port" 2>/dev/null || free_port)
    if port_taken "$port"; then port=$(free_port); fi
  fi
  if port_taken "$port"; then die "port $port is taken: choose another"; fi
  rm -rf "$dir/tmp"
  mkdir "$dir/tmp"
  launch "$dir" "$port" "$python" "$kind"
  echo "$port" >"$dir/port"
  pid=$(<"$dir/pid")
  until answers "$port"; do
    kill -0 "$pid" 2>/dev/null ||
      { tail -n 20 "$dir/server.log" >&2; die "the emulator did not start, see above"; }
    [ $((SECONDS - begun)) -lt "$answer_within_s" ] ||
      { kill "$pid"; die "the emulator did not answer within $answer_within_s s, see $dir/server.log"; }
    sleep 0.1
  done
  say "SQS and Lambda answer on 127.0.0.1:$port (pid $pid, $((SECONDS - begun)) s), log in $dir/server.log"
}

end_workers() {
  local worker
  for worker in $(workers "$1"); do kill -KILL "$worker" 2>/dev/null || true; done
}

stop() {
  local pid dir deadline
  dir=$(cd "$1" 2>/dev/null && pwd -P) || return 0
  if pid=$(server_pid "$dir"); then
    kill "$pid"
    # One that was paused would not hear it.
    kill -CONT "$pid" 2>/dev/null || true
    deadline=$((SECONDS + stop_within_s))
    while kill -0 "$pid" 2>/dev/null; do
      [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$pid" 2>/dev/null || true
      sleep 0.1
    done
    say "the emulator stopped (pid $pid)"
  fi
  end_workers "$dir"
  rm -f "$dir/pid"
}

status() {
  local dir pid
  dir=$(cd "$1" 2>/dev/null && pwd -P) || die "there is no emulator in $1"
  pid=$(server_pid "$dir") || { say "no emulator runs in $dir"; return 1; }
  say "the emulator runs on 127.0.0.1:$(<"$dir/port") (pid $pid)"
}

pid() { server_pid "$(cd "$1" && pwd -P)" || die "no emulator runs in $1"; }

url() {
  [ -s "$1/port" ] || die "the emulator of $1 was never started" "start it with: dev/emulator.sh start $1 0"
  echo "http://127.0.0.1:$(<"$1/port")"
}

fan_out() {
  local endpoint python
  case $1 in
    http://*) endpoint=$1 ;;
    *) endpoint=$(url "$1") ;;
  esac
  python=$(install)
  AWS_ENDPOINT_URL=$endpoint AWS_REGION=$region AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
    "$python" "$here/../localstack/ready.d/fan-out.py"
}

drop() {
  if [ ! -e "$1" ]; then return; fi
  stop "$1"
  # Never delete a folder that only happens to be named.
  [ -e "$1/port" ] || [ -z "$(ls -A "$1")" ] || die "$1 holds no emulator made by this script: not deleted"
  rm -rf "$1"
}

need() { [ "$1" -ge "$2" ] || { usage >&2; exit 2; }; }

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  install) install ;;
  start)
    need $# 2
    [[ $2 =~ ^[0-9]+$ ]] || die "PORT must be a number, not '$2'"
    start "$@"
    ;;
  stop | pid | status | url | fan-out | drop)
    need $# 1
    "${command//-/_}" "$1"
    ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
