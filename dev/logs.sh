#!/usr/bin/env bash
# Holds the logs of a test run against what was said to the services in confidence: secrets, tokens, and the
# contents of entries. None of it may be in a log.
#
#   dev/logs.sh check FOLDER [LINES_MIN]   FOLDER/*.log are the logs, FOLDER/said-*.txt what was said, a text
#                                          a line; fewer lines than LINES_MIN are a fault, too
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

# Shown at most of what was found.
found_max=20

check() {
  local folder=$1 lines_min=${2:-0} said lines found
  said=$(mktemp "${TMPDIR:-/tmp}/audit-log-said.XXXXXX")
  # Each secret of the tests begins with the first word; keys of TLS are made by chance.
  { printf '%s\n' 'planted-' 'PRIVATE KEY'; cat "$folder"/said-*.txt 2>/dev/null || true; } | sort -u >"$said"
  lines=$({ cat "$folder"/*.log 2>/dev/null || true; } | wc -l)
  found=$({ grep -rnoFf "$said" --include='*.log' "$folder" || true; } | head -n "$found_max")
  say "    $lines lines of logs, $(wc -l <"$said") texts that none of them may hold"
  rm -f "$said"
  if [ "$lines" -lt "$lines_min" ]; then
    die "only $lines lines of logs were kept, $lines_min are the least" "the tests keep them in AUDIT_TEST_LOGS"
  fi
  [ -z "$found" ] || die "a log holds what was said in confidence (file:line:text):" "$found"
}

# A look that finds nothing must be one that could have.
check_itself() {
  local folder
  folder=$(mktemp -d "${TMPDIR:-/tmp}/audit-log-logs.XXXXXX")
  echo 'an entry of somebody' >"$folder/said-1.txt"
  echo '{"message":"request","of":"an entry of somebody"}' >"$folder/one.log"
  if (check "$folder") 2>/dev/null; then
    die "the look at the logs does not find what was planted for it"
  fi
  echo '{"message":"request"}' >"$folder/one.log"
  (check "$folder" 1) 2>/dev/null || die "the look at the logs finds what is not there"
  if (check "$folder" 2) 2>/dev/null; then
    die "the look at the logs is content with too few"
  fi
  rm -rf "$folder"
}

case "${1:-}" in
check)
  check_itself
  check "${@:2}"
  ;;
*)
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
  ;;
esac
