#!/usr/bin/env bash
# The fuzz targets: each property of the crate `properties`, tried with bytes that nobody thought of. `make fuzz`.
#
#   dev/fuzz.sh run [TARGET]        for so many seconds each; one target, or all of them
#   dev/fuzz.sh replay TARGET FILE  one input again, with all that it says
#   dev/fuzz.sh keep [TARGET]       brings what runs have found into fuzz/corpus, as little of it as reaches as far
#   dev/fuzz.sh list                the names of the targets
#
# FUZZ_SECONDS: how long each runs (default: 600). FUZZ_JOBS: how many run at a time (default: 1).
#
# It builds with the toolchain of the project: coverage for libFuzzer needs no nightly, only sanitizers do, and without
# unsafe code of ours there is little for them to see. Where runs go on from, what they say and what they find lies in
# fuzz/ of cargo's target folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"
cd "$here/.."

seconds=${FUZZ_SECONDS:-600} jobs=${FUZZ_JOBS:-1}
# What one input may take of time and memory.
input_seconds_max=10 memory_mb_max=2048
# A kept corpus is read by people and by a test.
kept_bytes_max=1024 kept_at_once_max=24

usage() { sed -n 's/^#   //p' "${BASH_SOURCE[0]}"; }

list() {
  local file
  for file in fuzz/fuzz_targets/*.rs; do basename "$file" .rs; done
}

# of TARGET: it alone if it is one, all without a name.
of() {
  [ $# -gt 0 ] && [ -n "$1" ] || { list; return; }
  list | grep -xF "$1" || die "there is no target '$1'" "there are: $(list | tr '\n' ' ')"
}

need_cxx() {
  have "${CXX:-c++}" || die "a C++ compiler is needed for libFuzzer and was not found; install one with:" \
    "$(compiler_command)"
}

# Sets `place`, where all of it lies, and `programs`, the folder with the targets as they are built now.
build() {
  local tool
  need_toolchain
  need_cxx
  place=$(target_dir)/fuzz
  programs=$place/$(rustc -vV | sed -n 's/^host: //p')/release
  tool=$("$here/tools.sh" cargo-fuzz)
  say "building the fuzz targets (the first time takes some minutes)"
  # Called as cargo would. Flags of the one who calls would end the ones that it needs.
  env -u RUSTFLAGS "$tool" build --sanitizer none --target-dir "$place" >"$place.log" 2>&1 ||
    { tail -n 30 "$place.log" >&2; die "the fuzz targets could not be built, see above"; }
}

# bytes_max TARGET: the longest input. Longer ones reach nothing new and are slow; a query ends at 1 KiB itself, and all of
# it is looked for in all of the text.
bytes_max() {
  case $1 in
    query) echo 1280 ;;
    *) echo 4096 ;;
  esac
}

# start TARGET: in the background; sets `pid`. What it finds goes to the first folder, the second is only read.
start() {
  mkdir -p "$place/corpus/$1" "$place/findings/$1" "$place/logs"
  local dictionary=()
  [ ! -f "fuzz/dictionaries/$1.dict" ] || dictionary=("-dict=fuzz/dictionaries/$1.dict")
  "$programs/$1" "-max_total_time=$seconds" "-max_len=$(bytes_max "$1")" "-timeout=$input_seconds_max" \
    "-rss_limit_mb=$memory_mb_max" "-artifact_prefix=$place/findings/$1/" -print_final_stats=1 "${dictionary[@]}" \
    "$place/corpus/$1" "fuzz/corpus/$1" >"$place/logs/$1.log" 2>&1 &
  pid=$!
}

# progress TARGET: how far it is, from the last line that it wrote.
progress() {
  sed -nE 's/^#([0-9]+).*cov: ([0-9]+).*corp: ([0-9]+).*exec\/s: ([0-9]+).*/\1 inputs (\4 a second), \2 places reached, \3 kept/p' \
    "$place/logs/$1.log" | tail -n 1
}

# follow PID TARGET: until it ends; fails if it has found something.
follow() {
  local begun=$SECONDS said=$SECONDS
  while kill -0 "$1" 2>/dev/null; do
    sleep 1
    [ $((SECONDS - said)) -ge 15 ] || continue
    said=$SECONDS
    say "$2: $((SECONDS - begun)) of $seconds s, $(progress "$2")"
  done
  if wait "$1"; then
    say "$2: nothing found in $((SECONDS - begun)) s, $(progress "$2")"
    return
  fi
  say "$2: FOUND SOMETHING; the end of $place/logs/$2.log:"
  grep -vE '^(#|NEW_FUNC|\s*#[0-9]+ 0x)' "$place/logs/$2.log" | tail -n 15 >&2 || true
  say "again: dev/fuzz.sh replay $2 FILE, with the newest of $place/findings/$2"
  return 1
}

# One after the other, so many at a time.
run() {
  local targets found=0 batch target pid at
  mapfile -t targets < <(of "$@")
  [ ${#targets[@]} -gt 0 ] || exit 1
  build
  trap 'kill "${running[@]}" 2>/dev/null || true' EXIT
  for ((batch = 0; batch < ${#targets[@]}; batch += jobs)); do
    running=()
    for target in "${targets[@]:batch:jobs}"; do
      start "$target"
      running+=("$pid")
    done
    for at in "${!running[@]}"; do
      follow "${running[at]}" "${targets[batch + at]}" || found=$((found + 1))
    done
  done
  trap - EXIT
  [ "$found" = 0 ] || die "$found of ${#targets[@]} targets found something, see above"
  say "${#targets[@]} targets, $seconds s each: nothing found"
}

replay() {
  of "$1" >/dev/null
  build
  RUST_BACKTRACE=${RUST_BACKTRACE:-1} "$programs/$1" "$2"
}

# Only what reaches a place that the kept ones do not, those first that reach most such places, and few in all; how often
# a place is passed counts for nothing.
keep() {
  local target pool before
  build
  while read -r target; do
    [ -d "$place/corpus/$target" ] || { say "$target: no run has been here"; continue; }
    before=$(find "fuzz/corpus/$target" -type f | wc -l)
    pool=$(mktemp -d "$place/keep.XXXXXX")
    cp -p "fuzz/corpus/$target"/* "$pool"
    touch "$pool.begun"
    "$programs/$target" -set_cover_merge=1 -use_counters=0 "-max_len=$kept_bytes_max" "$pool" \
      "$place/corpus/$target" >"$place/logs/$target.keep.log" 2>&1 || die "see $place/logs/$target.keep.log"
    find "$pool" -type f -newer "$pool.begun" -printf '%T@ %p\n' | sort -n | head -n "$kept_at_once_max" |
      cut -d' ' -f2- | xargs -r cp -t "fuzz/corpus/$target"
    rm -rf "$pool" "$pool.begun"
    say "$target: $before files, now $(find "fuzz/corpus/$target" -type f | wc -l)"
  done < <(of "$@")
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  run | keep) "$command" "${1:-}" ;;
  replay) [ $# -eq 2 ] || { usage >&2; exit 2; }; replay "$@" ;;
  list) list ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
