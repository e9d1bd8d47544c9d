#!/usr/bin/env bash
# TimescaleDB for tests, without Docker or a system package: see timescale.mjs. `timescale.sh help` says
# how to use it.
#
# DIR/data  the database (unless --memory)    DIR/port, DIR/pid    of the server
#                                             DIR/server.log       what it says
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

readonly node_major_min=20 answer_within_s=60

usage() {
  cat <<'EOF'
usage: dev/timescale.sh COMMAND

  install                    fetch the npm packages; prints where timescale.mjs now is, ready for
                             `node …/timescale.mjs [--port 0] [--data memory://] [--until-stdin-ends]`
  start DIR PORT [--memory]  start one and wait until it answers; PORT 0 takes a free one
  stop DIR                   stop the server of DIR, and no other
  url DIR                    connection URL of the role `audit`; one connection at a time

AUDIT_CACHE_DIR  where the packages go (default: ~/.cache/audit-log)
EOF
}

need_node() {
  local how="install Node.js $node_major_min or newer with npm (Debian 13: apt-get install -y nodejs npm)"
  if ! have node || ! have npm; then die "TimescaleDB for tests needs node and npm" "$how"; fi
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge "$node_major_min" ] || die "node is too old: $(node --version)" "$how"
}

# One folder for each state of the lock file, moved to its place when whole; the second time is no work.
install() {
  local place new
  place=$cache/timescale-$(cat "$here"/timescale/package*.json | fingerprint)
  if [ ! -d "$place" ]; then
    need_node
    mkdir -p "$cache"
    new=$(mktemp -d "$cache/timescale.new.XXXXXX")
    cp "$here/timescale/package.json" "$here/timescale/package-lock.json" "$here/timescale/.npmrc" "$new"
    say "fetching TimescaleDB for tests into $place (once)"
    (cd "$new" && npm ci --silent >&2) || { rm -rf "$new"; die "npm could not fetch it, see above"; }
    # Another run may have been faster.
    mv -T "$new" "$place" 2>/dev/null || [ -d "$place" ] || mv "$new" "$place"
    rm -rf "$new"
  fi
  cp "$here/timescale.mjs" "$place/timescale.mjs.$$"
  mv "$place/timescale.mjs.$$" "$place/timescale.mjs"
  echo "$place/timescale.mjs"
}

# The pid of DIR's server, if it still is one: a number in a file may by now be anybody's.
server_pid() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 1
  case $(ps -ww -o args= -p "$pid" 2>/dev/null) in
    *timescale.mjs*"--data $(data_of "$1")"*) echo "$pid" ;;
    *) return 1 ;;
  esac
}

data_of() { cat "$1/data-url"; }

start() {
  local dir port=$2 data program pid begun=$SECONDS
  mkdir -p "$1"
  dir=$(cd "$1" && pwd -P)
  if pid=$(server_pid "$dir"); then
    say "TimescaleDB already runs on 127.0.0.1:$(<"$dir/port") (pid $pid)"
    return
  fi
  program=$(install)
  data=$dir/data
  # The name tells this server from others in memory when it is to be stopped.
  [ "${3:-}" != --memory ] || data=memory://$dir
  echo "$data" >"$dir/data-url"
  if [ "$port" -ne 0 ] && port_taken "$port"; then die "port $port is taken: choose another"; fi
  # A process group of its own: a Ctrl-C in this terminal does not reach it.
  set -m
  node "$program" --port "$port" --data "$data" >"$dir/ready" 2>"$dir/server.log" </dev/null &
  pid=$!
  set +m
  echo "$pid" >"$dir/pid"
  until grep -q '^ready ' "$dir/ready"; do
    kill -0 "$pid" 2>/dev/null || { cat "$dir/server.log" >&2; die "TimescaleDB did not start, see above"; }
    [ $((SECONDS - begun)) -lt "$answer_within_s" ] ||
      { kill "$pid"; die "TimescaleDB did not answer within $answer_within_s s, see $dir/server.log"; }
    sleep 0.1
  done
  sed -n 's/^ready //p' "$dir/ready" >"$dir/port"
  say "TimescaleDB answers on 127.0.0.1:$(<"$dir/port") (pid $pid, $((SECONDS - begun)) s), data in $data"
}

stop() {
  local pid
  pid=$(server_pid "$1") || return 0
  kill "$pid"
  for _ in {1..100}; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  if kill -0 "$pid" 2>/dev/null; then kill -9 "$pid"; fi
  rm -f "$1/pid"
  say "TimescaleDB stopped (pid $pid)"
}

url() {
  server_pid "$1" >/dev/null || die "no TimescaleDB runs in $1" "start it with: dev/timescale.sh start $1 0"
  echo "postgres://audit:any@127.0.0.1:$(<"$1/port")/template1?sslmode=disable"
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
  stop | url)
    need $# 1
    "$command" "$1"
    ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
