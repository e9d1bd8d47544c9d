#!/usr/bin/env bash
# How much of the code all tests run, in lines: a build with counters, dev/test.sh on it, and what they have counted.
# `make coverage`. Fails under 85 %.
#
#   dev/coverage.sh [ARGUMENTS OF cargo test…]   with arguments it says what those tests run, and asks for no share
#
# What was run line by line goes to lcov.info in coverage/ of cargo's target folder, where the build lies, too, and to
# coverage.txt file by file. Tests are not counted themselves. What is judged is the whole workspace; what it is
# without `bench`, which measures, is no part of the product and mostly not reached by tests, stands beside it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"
cd "$here/.."

lines_min=85

# What reads the counters must be of the age of the compiler that put them there: the component of rustup is, the
# system's LLVM may be.
need_llvm_tools() {
  local host version folder
  host=$(rustc -vV | sed -n 's/^host: //p')
  version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
  folder=$(rustc --print sysroot)/lib/rustlib/$host/bin
  [ ! -x "$folder/llvm-profdata" ] || return 0
  if have "llvm-profdata-$version" && have "llvm-cov-$version"; then
    LLVM_PROFDATA=$(command -v "llvm-profdata-$version")
    LLVM_COV=$(command -v "llvm-cov-$version")
    export LLVM_PROFDATA LLVM_COV
    return
  fi
  say "the compiler's LLVM tools are missing: asking rustup for them"
  { have rustup && rustup component add llvm-tools >&2 && [ -x "$folder/llvm-profdata" ]; } ||
    die "llvm-profdata and llvm-cov $version are needed, of the age of the compiler" \
      "rustup component add llvm-tools, or the system's packages: sudo apt-get install -y llvm-$version"
}

# Everything below builds and runs with counters that are mapped from a file: a process that is killed has counted,
# too. Processes of one program share a few files, for thousands of them are started.
count() {
  local settings
  CARGO_TARGET_DIR=$(target_dir)/coverage
  export CARGO_TARGET_DIR
  settings=$("$tool" llvm-cov show-env --sh 2>/dev/null)
  eval "$settings"
  # What reads the files knows them by how their names begin.
  export LLVM_PROFILE_FILE=${LLVM_PROFILE_FILE%%-%p*}-%c%4m.profraw
  export __CARGO_LLVM_COV_RUSTC_WRAPPER_RUSTFLAGS+=$'\x1f-Cllvm-args=-runtime-counter-relocation'
  rm -f "$CARGO_TARGET_DIR"/*.profraw
}

# file_by_file: lines, those that nothing ran, and the name.
file_by_file() {
  awk -F: -v root="$PWD/" '
    $1 == "SF" { file = $2; sub(root, "", file) }
    $1 == "LF" { lines = $2 }
    $1 == "LH" { ran = $2 }
    $1 == "end_of_record" { printf "%6d %6d %s\n", lines, lines - ran, file }' "$1"
}

# summary MIN FILE: the same for each crate, and for all of them; fails if that has less than so many of a hundred.
summary() {
  awk -v min="$1" '
    { split($3, path, "/"); add(path[1]); add("all"); if (path[1] != "bench") add("all but bench") }
    function add(name) {
      if (!(name in lines) && name !~ /^all/) names[++count] = name
      lines[name] += $1
      left[name] += $2
    }
    function share(name) { return lines[name] ? 100 * (lines[name] - left[name]) / lines[name] : 0 }
    function row(name) {
      printf "  %-16s %7d lines, %6d not run, %6.2f %%\n", name, lines[name], left[name], share(name)
    }
    END {
      for (at = 1; at <= count; at++) row(names[at])
      row("all but bench")
      row("all")
      exit !(share("all") >= min)
    }' "$2"
}

need_toolchain
need_llvm_tools
tool=$("$here/tools.sh" cargo-llvm-cov)
count
tests=0
"$here/test.sh" "$@" || tests=$?
"$tool" llvm-cov report --lcov --output-path "$CARGO_TARGET_DIR/lcov.info" 2>/dev/null ||
  die "the counters could not be read" "cargo llvm-cov report --lcov says why"
file_by_file "$CARGO_TARGET_DIR/lcov.info" | sort -k3 >"$CARGO_TARGET_DIR/coverage.txt"
say "lines that were run, without tests; file by file in $CARGO_TARGET_DIR/coverage.txt:"
[ $# -eq 0 ] || lines_min=0
enough=0
summary "$lines_min" "$CARGO_TARGET_DIR/coverage.txt" || enough=$?
[ "$tests" = 0 ] || die "tests have failed, see above: what they did not run any more is missing here"
[ "$enough" = 0 ] || die "less than $lines_min % of the lines are run"
