#!/usr/bin/env bash
# An OpenSearch of our own, without Docker or a system package: the jars come by Maven, checked against
# dev/opensearch/jars.sha256. One node, loopback only, no security. `opensearch.sh help` says how to use it.
#
# DIR/node  data, settings and log of the node   DIR/port, DIR/pid  of the server
#                                                DIR/server.log     what it says
set -euo pipefail
shopt -s nullglob

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

readonly java_major_min=21 answer_within_s=90 stop_within_s=30
readonly main=$here/opensearch/Node.java
readonly plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

usage() {
  cat <<'USAGE'
usage: dev/opensearch.sh COMMAND

  install         fetch the jars; prints the folder they are in
  start DIR PORT  start one and wait until it answers; PORT 0 takes a free one, or the port it had
                  before; what DIR holds from before is there again; twice does no harm
  stop DIR        stop the server of DIR, and no other
  status DIR      exit 0 when it runs
  pid DIR         its process, to be paused or killed
  url DIR         where it answers
  drop DIR        stop, then delete all its data
  sums            the sums of what the pom brings, for dev/opensearch/jars.sha256

AUDIT_OPENSEARCH_HEAP  memory of its heap (default: 1g)
AUDIT_JAVA_HOME        a JDK of 21 or newer to use, instead of the newest found
AUDIT_CACHE_DIR        where the jars go (default: ~/.cache/audit-log)
USAGE
}

# ---------------------------------------------------------------- programs

# Prints `MAJOR PROGRAM` for the `java` of a whole JDK: the node is started from source.
describe_java() {
  local version
  if ! [ -x "$1" ] || ! [ -x "${1}c" ]; then return 0; fi
  version=$("$1" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p;q') || return 0
  [ -z "$version" ] || echo "$version $1"
}

every_java() {
  local found
  for found in ${JAVA_HOME:+"$JAVA_HOME"} /usr/lib/jvm/* /opt/java/* /opt/homebrew/opt/openjdk* \
    /Library/Java/JavaVirtualMachines/*/Contents/Home; do
    describe_java "$found/bin/java"
  done
  if found=$(command -v java); then describe_java "$(readlink -f "$found")"; fi
}

find_java() {
  local found
  if [ -n "${AUDIT_JAVA_HOME:-}" ]; then
    found=$(describe_java "$AUDIT_JAVA_HOME/bin/java")
  else
    found=$(every_java | awk -v min="$java_major_min" '$1 >= min' | sort -rn | head -n 1)
  fi
  [ "${found%% *}" -ge "$java_major_min" ] 2>/dev/null && echo "${found#* }"
}

# apt_brings PACKAGE: installs it where we may.
apt_brings() {
  local sudo=()
  have apt-get || return 1
  [ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
  [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null || return 1
  say "installing the system's package $1"
  "${sudo[@]}" apt-get update -qq >&2 || return 1
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq "$1" >&2
}

need_java() {
  local package
  if java=$(find_java); then return; fi
  for package in openjdk-25-jdk-headless openjdk-21-jdk-headless; do
    if apt_brings "$package" && java=$(find_java); then return; fi
  done
  die "OpenSearch needs a JDK $java_major_min or newer, and none was found" \
    "install one (Debian 13: apt-get install -y openjdk-21-jdk-headless; older: adoptium.net)," \
    "or set AUDIT_JAVA_HOME to its folder"
}

need_maven() {
  if have mvn || apt_brings maven; then return; fi
  die "fetching OpenSearch needs Maven, and it was not found" \
    "install it (Debian: apt-get install -y maven, macOS: brew install maven)"
}

fetch() {
  need_maven
  mvn -q -B -f "$here/opensearch/pom.xml" "$plugin:copy-dependencies" \
    -DincludeScope=runtime -DoutputDirectory="$1" >&2 ||
    die "Maven could not fetch OpenSearch, see above"
}

# One folder for each state of the sums, moved to its place when whole; the second time is no work.
install() {
  local place new
  place=$cache/opensearch-$(fingerprint <"$here/opensearch/jars.sha256")
  if [ ! -d "$place" ]; then
    mkdir -p "$cache"
    new=$(mktemp -d "$cache/opensearch.new.XXXXXX")
    say "fetching OpenSearch for tests into $place (once)"
    if ! (fetch "$new" && matches_sums "$new"); then
      rm -rf "$new"
      exit 1
    fi
    chmod 755 "$new"
    # Another run may have been faster.
    mv -T "$new" "$place" 2>/dev/null || [ -d "$place" ] || mv "$new" "$place"
    rm -rf "$new"
  fi
  echo "$place"
}

sum_files() { if have sha256sum; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

# Exactly these files, each as it was when its sum was written down.
matches_sums() {
  (cd "$1" && sum_files *.jar) | diff "$here/opensearch/jars.sha256" - >&2 ||
    die "what Maven fetched is not what dev/opensearch/jars.sha256 says, see above"
}

sums() {
  local new
  new=$(mktemp -d)
  fetch "$new"
  (cd "$new" && sum_files *.jar)
  rm -rf "$new"
}

# ---------------------------------------------------------------- the server

# The pid of DIR's server, if it still is one: a number in a file may by now be anybody's.
server_pid() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 1
  case $(ps -ww -o args= -p "$pid" 2>/dev/null) in
    *"Node.java $1/node $(cluster_of "$1") "*) echo "$pid" ;;
    *) return 1 ;;
  esac
}

# ask PORT PATH: an HTTP request without a client; prints the answer.
ask() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET %s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' "$2" >&3
    # To its end; there is no zero byte in it.
    IFS= read -r -t 5 -d '' answer <&3 || true
    printf %s "$answer"
  ) 2>/dev/null
}

# Whether this port is answered by DIR's own node, with its state recovered, and not by somebody who took
# it first.
answers() {
  local cluster
  cluster=$(cluster_of "$1")
  [[ $(ask "$2" /_cluster/health) == *"\"cluster_name\":\"$cluster\",\"status\":\""[gy]* ]]
}

cluster_of() { echo "audit-$(printf %s "$1" | fingerprint)"; }

# launch DIR PORT OPTION…: options of the JVM.
launch() {
  local dir=$1 port=$2
  shift 2
  mkdir -p "$dir/node"
  # A process group of its own: a Ctrl-C in this terminal does not reach it.
  set -m
  "$java" "-Xms$heap" "-Xmx$heap" -XX:-UsePerfData --enable-native-access=ALL-UNNAMED "$@" \
    -cp "$jars/*" "$main" "$dir/node" "$(cluster_of "$dir")" "$port" >"$dir/server.log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
  set +m
}

# until_answers DIR PORT: or until it has ended, or taken too long.
until_answers() {
  local pid begun=$SECONDS
  pid=$(<"$1/pid")
  until answers "$1" "$2"; do
    kill -0 "$pid" 2>/dev/null || { tail -n 50 "$1/server.log" >&2; die "OpenSearch did not start, see above"; }
    [ $((SECONDS - begun)) -lt "$answer_within_s" ] ||
      { kill -9 "$pid"; die "OpenSearch did not answer on port $2 within $answer_within_s s, see $1/server.log"; }
    sleep 0.2
  done
}

# Sets `archive`: the classes that a node loads, made ready once for this JDK and these jars, which halves the
# time of a start. Where that fails the file is empty, and starts take as long as they take.
prepare_classes() {
  local dir port
  archive=$jars/classes-$({ "$java" -version && cat "$main"; } 2>&1 | fingerprint).jsa
  [ ! -e "$archive" ] || return 0
  say "preparing the start of OpenSearch (once)"
  dir=$(mktemp -d "$cache/opensearch.new.XXXXXX")
  port=$(free_port)
  launch "$dir" "$port" "-XX:ArchiveClassesAtExit=$dir/classes.jsa"
  (until_answers "$dir" "$port") || true
  stop "$dir"
  [ -s "$dir/classes.jsa" ] || : >"$dir/classes.jsa"
  mv "$dir/classes.jsa" "$archive"
  rm -rf "$dir"
}

start() {
  local dir port=$2 pid options=() begun=$SECONDS
  mkdir -p "$1"
  dir=$(cd "$1" && pwd -P)
  if pid=$(server_pid "$dir"); then
    say "OpenSearch already runs on 127.0.0.1:$(<"$dir/port") (pid $pid)"
    return
  fi
  need_java
  jars=$(install)
  prepare_classes
  if [ "$port" -eq 0 ]; then
    port=$(cat "$dir/port" 2>/dev/null || free_port)
    if port_taken "$port"; then port=$(free_port); fi
  elif port_taken "$port"; then
    die "port $port is taken: choose another"
  fi
  if [ -s "$archive" ]; then options=("-XX:SharedArchiveFile=$archive"); fi
  launch "$dir" "$port" ${options[@]+"${options[@]}"}
  until_answers "$dir" "$port"
  echo "$port" >"$dir/port"
  say "OpenSearch answers on 127.0.0.1:$port (pid $(<"$dir/pid"), $((SECONDS - begun)) s), data in $dir"
}

stop() {
  local dir pid
  [ -d "$1" ] || return 0
  dir=$(cd "$1" && pwd -P)
  pid=$(server_pid "$dir") || return 0
  kill "$pid"
  # One that was paused would not hear it.
  kill -CONT "$pid" 2>/dev/null || true
  for ((i = 0; i < stop_within_s * 10; i++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  if kill -0 "$pid" 2>/dev/null; then kill -9 "$pid"; fi
  rm -f "$dir/pid"
  say "OpenSearch stopped (pid $pid)"
}

running() {
  local dir
  dir=$(cd "$1" 2>/dev/null && pwd -P) && server_pid "$dir"
}

need_running() {
  running "$1" || die "no OpenSearch runs in $1" "start it with: dev/opensearch.sh start $1 0"
}

drop() {
  if [ ! -d "$1" ]; then return; fi
  # Nothing has to be written out before it is deleted.
  local pid
  if pid=$(running "$1"); then
    kill -9 "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    say "OpenSearch killed (pid $pid)"
  fi
  # Never delete a folder that only happens to be named.
  [ -d "$1/node" ] || [ -z "$(ls -A "$1")" ] || die "$1 holds no OpenSearch made by this script: not deleted"
  rm -rf "$1"
}

need() { [ "$1" -ge "$2" ] || { usage >&2; exit 2; }; }

heap=${AUDIT_OPENSEARCH_HEAP:-1g}
command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  install) install ;;
  sums) sums ;;
  start)
    need $# 2
    [[ $2 =~ ^[0-9]+$ ]] || die "PORT must be a number, not '$2'"
    start "$@"
    ;;
  stop | drop)
    need $# 1
    "$command" "$1"
    ;;
  status)
    need $# 1
    pid=$(running "$1") || { say "no OpenSearch runs in $1"; exit 1; }
    say "OpenSearch runs in $1 on 127.0.0.1:$(<"$1/port") (pid $pid)"
    ;;
  pid)
    need $# 1
    need_running "$1"
    ;;
  url)
    need $# 1
    need_running "$1" >/dev/null
    echo "http://127.0.0.1:$(<"$1/port")"
    ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
