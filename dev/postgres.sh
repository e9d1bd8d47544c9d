#!/usr/bin/env bash
# A PostgreSQL of our own: own folder, own port, loopback only, passwords only. The system's cluster is
# never touched. `postgres.sh help` says how to use it.
#
# DIR/data        the cluster                     DIR/server.log  what the server says
# DIR/password    of the role `audit`             DIR/port        where it listened last
# DIR/admin-password  of the superuser
#
# PostgreSQL refuses to run as root. As root, DIR and the server belong to the user `postgres`; as anybody
# else, to that user.
set -euo pipefail
shopt -s nullglob

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

# Settings meant for another server must not lead our client astray.
unset "${!PG@}"

readonly major_min=15 answer_within_s=60

usage() {
  cat <<'EOF'
usage: dev/postgres.sh COMMAND

  start DIR PORT [--for-tests]  make the cluster if DIR has none, start it, wait until it answers;
                                PORT 0 takes a free one; twice does no harm
  stop DIR                      stop the server of DIR, and no other
  status DIR                    exit 0 when it runs
  url DIR                       connection URL of the role `audit`: owns database `audit`, no superuser
  admin-url DIR                 connection URL of the superuser, database `postgres`
  drop DIR                      stop, then delete the cluster and all its data
  find-bin                      folder of the server's programs
  install                       install the system's PostgreSQL if there is none

--for-tests: many connections, fewer checkpoints; as durable as otherwise. Chosen when DIR is made.

AUDIT_PG_BIN   folder of the programs to use, instead of the newest found
AUDIT_PG_USER  user that runs the server when root starts it (default: postgres)
EOF
}

# ---------------------------------------------------------------- programs

# Prints `MAJOR FOLDER` for a folder that holds a whole server with its client.
describe_bin() {
  local program version
  for program in initdb pg_ctl postgres psql; do
    [ -x "$1/$program" ] || return 0
  done
  version=$("$1/postgres" --version 2>/dev/null) || return 0
  version=${version##*) }
  echo "${version%%[!0-9]*} $1"
}

every_bin() {
  local found
  if have pg_config; then describe_bin "$(pg_config --bindir)"; fi
  for found in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
    /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
    /Applications/Postgres.app/Contents/Versions/*/bin; do
    describe_bin "$found"
  done
  if found=$(command -v initdb); then describe_bin "$(dirname "$found")"; fi
}

# find_bin [MAJOR]: the newest that is new enough, or that very major version.
find_bin() {
  local major
  if [ -n "${AUDIT_PG_BIN:-}" ]; then
    [ -n "$(describe_bin "$AUDIT_PG_BIN")" ] ||
      die "AUDIT_PG_BIN=$AUDIT_PG_BIN has no initdb, pg_ctl, postgres and psql"
    echo "$AUDIT_PG_BIN"
    return
  fi
  major=$(every_bin | awk -v min="$major_min" -v only="${1:-}" \
    '$1 >= min && (only == "" || $1 == only)' | sort -rn | head -n 1)
  [ -n "$major" ] && echo "${major#* }"
}

# The one command that brings the server to this machine.
install_command() {
  if have apt-get; then
    echo "${1:-}apt-get update && ${1:-}apt-get install -y postgresql"
  elif have brew; then
    echo "brew install postgresql@17"
  elif have dnf; then
    echo "sudo dnf install -y postgresql-server postgresql"
  elif have apk; then
    echo "sudo apk add postgresql postgresql-client"
  elif have pacman; then
    echo "sudo pacman -S --needed postgresql"
  else
    return 1
  fi
}

install_server() {
  local sudo='' command
  if find_bin >/dev/null; then return; fi
  [ "$(id -u)" -eq 0 ] || sudo='sudo '
  command=$(install_command "$sudo") ||
    die "PostgreSQL $major_min or newer is needed and was not found" \
      "install it with your system's package manager, or set AUDIT_PG_BIN to its bin folder"
  if ! have apt-get || { [ -n "$sudo" ] && ! sudo -n true 2>/dev/null; }; then
    die "PostgreSQL $major_min or newer is needed and was not found; install it with:" "$command"
  fi
  say "PostgreSQL is missing: installing the system's package (its own cluster stays unused)"
  say "  $command"
  DEBIAN_FRONTEND=noninteractive bash -c "$command" >&2 ||
    die "the installation failed; mend what it says above, or type it yourself:" "$command"
  find_bin >/dev/null ||
    die "the system's package is older than PostgreSQL $major_min" \
      "install a newer one and set AUDIT_PG_BIN to its bin folder"
}

# ---------------------------------------------------------------- the folder and its user

as_root() { [ "$(id -u)" -eq 0 ]; }

# Runs a command as the user the server belongs to. From /, since that user may not stand where we do.
as_server() {
  if as_root; then
    (cd / && LC_ALL=C runuser -u "$server_user" -- "$@")
  else
    LC_ALL=C "$@"
  fi
}

# Can the server's user get to the folder that will hold DIR?
reachable() { as_server test -x "$1"; }

# Makes DIR, or finishes an interrupted making of it. Below a closed folder such as /root the data goes
# elsewhere and DIR becomes a link to it.
make_dir() {
  local parent elsewhere
  if [ -e "$1/admin-password" ]; then return; fi
  [ ! -d "$1" ] || ls "$1/." >/dev/null 2>&1 ||
    die "$1 belongs to another user: run this as the user who made it, or choose another folder"
  [ -z "$(ls -A "$1/." 2>/dev/null)" ] ||
    die "$1 is not empty and holds no PostgreSQL of ours: choose another folder"
  mkdir -p "$(dirname "$1")"
  parent=$(cd "$(dirname "$1")" && pwd -P)
  if reachable "$parent"; then
    mkdir -p "$1"
  elif [ ! -L "$1" ]; then
    elsewhere=/var/lib/audit-log-$(printf %s "$parent/$(basename "$1")" | fingerprint)
    say "the user $server_user cannot enter $parent: the data goes to $elsewhere"
    mkdir -p "$elsewhere"
    ln -s "$elsewhere" "$1"
  fi
  chmod 700 "$1/."
  if as_root; then chown "$server_user:" "$1/."; fi
}

# Sets `dir` to the real folder behind DIR, and the programs that fit what is in it.
open_dir() {
  [ -d "$1" ] || die "there is no PostgreSQL in $1" "make one with: dev/postgres.sh start $1 0"
  dir=$(cd "$1" 2>/dev/null && pwd -P) ||
    die "$1 belongs to another user: run this as the user who made it"
  if [ -s "$dir/data/PG_VERSION" ]; then
    local major
    major=$(<"$dir/data/PG_VERSION")
    bin=$(find_bin "$major") ||
      die "the data in $dir is of PostgreSQL $major, which is not installed" \
        "install that version, or set AUDIT_PG_BIN to its bin folder"
  else
    bin=$(find_bin)
  fi
}

# Standard input becomes a file that only the server's user (and root) can read.
# shellcheck disable=SC2016
write_secret() { as_server sh -c 'umask 077 && cat >"$1"' sh "$1"; }

new_password() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# ---------------------------------------------------------------- the cluster

# Made beside its place and moved there when whole, so that an interrupted start leaves nothing half done.
make_cluster() {
  say "making a new PostgreSQL cluster in $dir"
  as_server rm -rf "$dir/data.new"
  new_password | write_secret "$dir/admin-password"
  new_password | write_secret "$dir/password"
  as_server "$bin/initdb" --pgdata="$dir/data.new" --username=postgres --encoding=UTF8 --locale=C \
    --data-checksums --auth=scram-sha-256 --pwfile="$dir/admin-password" >"$dir/initdb.log" 2>&1 ||
    { cat "$dir/initdb.log" >&2; die "initdb failed, see above"; }
  # shellcheck disable=SC2016
  settings "$1" | as_server sh -c 'cat >>"$1"' sh "$dir/data.new/postgresql.conf"
  as_server mv "$dir/data.new" "$dir/data"
  rm -f "$dir/initdb.log"
}

settings() {
  cat <<'EOF'

# From dev/postgres.sh. The port is given at each start.
listen_addresses = '127.0.0.1'
# One door, with a password. A socket's path may also not be longer than 107 bytes, a checkout's may.
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
EOF
  if [ "$1" = tests ]; then
    cat <<'EOF'

# For tests. fsync stays on: durability is among what is tested.
max_connections = 300
shared_buffers = 256MB
max_wal_size = 4GB
EOF
  fi
}

# The first number in postmaster.pid counts only if that process is our server: after a kill -9 and a
# restart of the machine it may be anybody's.
server_pid() {
  local pid
  pid=$(as_server head -n 1 "$dir/data/postmaster.pid" 2>/dev/null) || return 1
  case $(ps -ww -o args= -p "$pid" 2>/dev/null) in
    *postgres*"-D $dir/data"*) echo "$pid" ;;
    *) return 1 ;;
  esac
}

drop_stale_pid_file() {
  as_server test -e "$dir/data/postmaster.pid" || return 0
  if server_pid >/dev/null; then return; fi
  say "the server was killed last time; PostgreSQL will recover from its log"
  as_server rm -f "$dir/data/postmaster.pid"
}

# launch PORT: waits until the server accepts connections. After a kill -9 the server's children may live
# for a moment and hold its memory, so that only a later try succeeds.
launch() {
  local deadline=$((SECONDS + answer_within_s)) log="$dir/server.log" before
  while :; do
    before=$(wc -l 2>/dev/null <"$log" || echo 0)
    # pg_ctl gives the server a session of its own: a Ctrl-C in this terminal does not reach it.
    if as_server "$bin/pg_ctl" start --pgdata="$dir/data" --log="$log" --wait \
      --timeout="$answer_within_s" --silent --options="-p $1" >/dev/null 2>&1; then
      return
    fi
    if tail -n "+$((before + 1))" "$log" 2>/dev/null | grep -q 'still in use' &&
      [ "$SECONDS" -lt "$deadline" ]; then
      sleep 0.2
      continue
    fi
    tail -n "+$((before + 1))" "$log" >&2 || true
    return 1
  done
}

# query URL: runs the SQL on standard input.
query() { PGCONNECT_TIMEOUT=5 "$bin/psql" "$1" -v ON_ERROR_STOP=1 -qAtX; }

url_of() {
  local role=$1 secret=$2 database=$3
  echo "postgres://$role:$(<"$dir/$secret")@127.0.0.1:$(<"$dir/port")/$database"
}

url() { url_of audit password audit; }
admin_url() { url_of postgres admin-password postgres; }

# The product's own role: no superuser, but it may make the restricted roles that the service works with.
make_owner() {
  local password exists
  password=$(<"$dir/password")
  exists=$(query "$(admin_url)" <<<"select count(*) from pg_database where datname = 'audit'")
  if [ "$exists" = 1 ]; then return; fi
  query "$(admin_url)" <<EOF
do \$\$ begin
  if not exists (select from pg_roles where rolname = 'audit') then
    create role audit login nosuperuser createrole password '$password';
  end if;
end \$\$;
create database audit owner audit;
EOF
}

# ---------------------------------------------------------------- commands

start() {
  local port=$2 kind=plain running begun=$SECONDS
  [ "${3:-}" != --for-tests ] || kind=tests
  install_server
  make_dir "$1"
  open_dir "$1"
  if running=$(server_pid); then
    say "PostgreSQL already runs in $dir on 127.0.0.1:$(<"$dir/port") (pid $running)"
    return
  fi
  as_server test -d "$dir/data" || make_cluster "$kind"
  drop_stale_pid_file
  [ "$port" -ne 0 ] || port=$(free_port)
  if port_taken "$port"; then die "port $port is taken: choose another"; fi
  launch "$port" ||
    die "PostgreSQL did not start in $dir, see above" "the whole log: $dir/server.log"
  echo "$port" | write_secret "$dir/port"
  make_owner
  query "$(url)" <<<'select 1' >/dev/null || die "PostgreSQL started but does not let the role audit in"
  say "PostgreSQL $("$bin/postgres" --version | awk '{ print $3 }') answers on 127.0.0.1:$port" \
    "(pid $(server_pid), $((SECONDS - begun)) s), data in $dir"
}

# stop DIR [MODE]: `fast` keeps what is committed and closes open connections.
stop() {
  local pid mode=${2:-fast}
  [ -d "$1" ] || return 0
  open_dir "$1"
  pid=$(server_pid) || return 0
  as_server "$bin/pg_ctl" stop --pgdata="$dir/data" --mode="$mode" --wait --timeout=60 --silent >/dev/null ||
    die "PostgreSQL (pid $pid) did not stop within 60 s" "see $dir/server.log"
  say "PostgreSQL stopped (pid $pid)"
}

status() {
  open_dir "$1"
  local pid
  pid=$(server_pid) || { say "no PostgreSQL runs in $dir"; return 1; }
  say "PostgreSQL runs in $dir on 127.0.0.1:$(<"$dir/port") (pid $pid)"
}

drop() {
  if [ ! -e "$1" ]; then return; fi
  # Nothing has to be written out before it is deleted.
  stop "$1" immediate
  dir=$(cd "$1" && pwd -P)
  # Never delete a folder that only happens to be named.
  [ -e "$dir/admin-password" ] ||
    [ -z "$(ls -A "$dir")" ] || die "$1 holds no cluster made by this script: not deleted"
  rm -rf "$dir"
  rm -rf "$1"
}

need() { [ "$1" -ge "$2" ] || { usage >&2; exit 2; }; }

server_user=${AUDIT_PG_USER:-postgres}
command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  start)
    need $# 2
    [[ $2 =~ ^[0-9]+$ ]] || die "PORT must be a number, not '$2'"
    start "$@"
    ;;
  stop | status | drop)
    need $# 1
    "$command" "$1"
    ;;
  url | admin-url)
    need $# 1
    open_dir "$1"
    [ -s "$dir/port" ] ||
      die "PostgreSQL in $1 was never started" "start it with: dev/postgres.sh start $1 0"
    "${command//-/_}"
    ;;
  find-bin) find_bin || die "no PostgreSQL $major_min or newer found" "dev/postgres.sh install brings it" ;;
  install) install_server ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
