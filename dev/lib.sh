# shellcheck shell=bash
# What every script here shares: saying what happens, and finding a free port. Sourced, never run.

# say TEXT…: one line of progress. On standard error, since standard output carries answers.
say() { printf '%s\n' "$*" >&2; }

# die TEXT…: says what is wrong and what to do about it, then ends the script.
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
  exit 1
}

# have COMMAND: is it on the path?
have() { command -v "$1" >/dev/null 2>&1; }

# step TEXT COMMAND…: runs one step with its name before and its time after. No `if` around the command,
# for that would switch `set -e` off inside of it: when it fails the script ends, and the EXIT trap calls
# step_failed.
step_name='' step_begun=0
step() {
  step_name=$1 step_begun=$SECONDS
  shift
  say "==> $step_name"
  "$@"
  say "    done: $step_name ($((SECONDS - step_begun)) s)"
  step_name=''
}

# step_failed CODE: names the step in which the script ended, if it ended in one.
step_failed() {
  [ -n "$step_name" ] || return 0
  case $1 in
    129 | 130 | 143) say "    interrupted: $step_name ($((SECONDS - step_begun)) s)" ;;
    *) say "    FAILED: $step_name ($((SECONDS - step_begun)) s), see above" ;;
  esac
}

# port_taken PORT [HOST]: does somebody answer there?
port_taken() { (exec 3<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null; }

# free_port: a port that nobody answers on. Below the range that systems use for outgoing connections,
# so that none of those takes it before we do.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    port_taken "$port" || { echo "$port"; return; }
  done
  die "no free port found between 20000 and 31999"
}

# port_from PORT: that port, or the next one that is free.
port_from() {
  local port=$1
  while port_taken "$port"; do port=$((port + 1)); done
  echo "$port"
}

# fingerprint: a short name for what comes on standard input.
fingerprint() { cksum | tr -d ' \n'; }

# Downloads and tools live here, outside of the checkout; nothing in it is needed to build the product.
# shellcheck disable=SC2034
cache=${AUDIT_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/audit-log}

# within SECONDS COMMAND…: runs it, but not for longer.
within() {
  local limit=$1 deadline pid
  shift
  deadline=$((SECONDS + limit))
  "$@" &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      kill "$pid" 2>/dev/null || true
      wait "$pid" 2>/dev/null || true
      return 124
    fi
    sleep 0.1
  done
  wait "$pid"
}

# need_toolchain: is there what it takes to build the project?
need_toolchain() {
  have cargo || die "Rust is needed and was not found" \
    "install it with rustup (see rust-lang.org), then open a new shell"
  have "${CC:-cc}" ||
    die "a C compiler is needed (for TLS and compression) and was not found; install one with:" \
      "$(compiler_command)"
}

compiler_command() {
  if have apt-get; then
    echo "sudo apt-get install -y build-essential"
  elif have dnf; then
    echo "sudo dnf install -y gcc"
  elif have apk; then
    echo "sudo apk add build-base"
  elif have pacman; then
    echo "sudo pacman -S --needed base-devel"
  else
    echo "xcode-select --install   (macOS), or your system's gcc or clang package"
  fi
}

# find_python [MINOR]: a Python of at least 3.MINOR (10) that can make virtual environments. Asked, not believed: a
# shim on the path may stand for no Python at all.
find_python() {
  local name minor=${1:-10}
  for name in "${AUDIT_PYTHON:-python3}" python3.13 python3.12 python3.11 python3.10 python3.14; do
    if "$name" - "$minor" 2>/dev/null <<<'import sys, venv, ensurepip
if sys.version_info < (3, int(sys.argv[1])): sys.exit(1)
print(sys.executable)'; then
      return
    fi
  done
  return 1
}

# need_python [MINOR]: the same, brought by the system's packages where that is possible.
need_python() {
  local root=() minor=${1:-10}
  find_python "$minor" && return
  [ "$(id -u)" = 0 ] || root=(sudo -n)
  if have apt-get && "${root[@]}" true 2>/dev/null; then
    say "Python 3.$minor or newer with venv is missing: installing the system's package"
    "${root[@]}" apt-get update -qq >&2 && "${root[@]}" apt-get install -y -qq python3-venv >&2 || true
  fi
  find_python "$minor" || die "Python 3.$minor or newer with venv is needed and was not found" \
    "install it (Debian, Ubuntu: sudo apt-get install -y python3-venv), or name one by AUDIT_PYTHON"
}

# need_packages NAME FILE [MINOR]: a Python with the packages that FILE pins, in the cache; prints the program. One
# folder for each state of the file, moved to its place when whole; the second time is no work.
need_packages() {
  local place new python
  place=$cache/$1-$(fingerprint <"$2")
  if [ ! -x "$place/bin/python" ]; then
    python=$(need_python "${3:-10}")
    mkdir -p "$cache"
    new=$(mktemp -d "$cache/$1.new.XXXXXX")
    say "fetching the Python packages for $1 into $place (once)"
    { "$python" -m venv "$new" && "$new/bin/python" -m pip --quiet --disable-pip-version-check install \
      --require-hashes --requirement "$2" >&2; } ||
      { rm -rf "$new"; die "pip could not fetch them, see above"; }
    # Its python is a link to the system's, and it is started by that: the place may change. Another run
    # may have been faster.
    rm -rf "$place.broken"
    [ ! -e "$place" ] || mv "$place" "$place.broken"
    mv -T "$new" "$place" 2>/dev/null || [ -x "$place/bin/python" ] || mv "$new" "$place"
    rm -rf "$new" "$place.broken"
  fi
  echo "$place/bin/python"
}

# target_dir: where cargo puts what it builds, whoever decided that.
target_dir() {
  cargo metadata --locked --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}
