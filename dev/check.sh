#!/usr/bin/env bash
# Everything that can be said about the code without a database: format, lints, documentation, what it
# depends on, and the fast tests. `make check` and `make test` begin here.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"
cd "$here/.."

formatted() { cargo fmt --all --check || { say "    make fmt mends it"; return 1; }; }

# `domain` is pure: whatever it decides can be tested without a server, a clock or a network.
domain_is_pure() {
  local tree io='tokio|async-std|smol|mio|sqlx.*|axum.*|hyper.*|reqwest|aws-.*|opensearch'
  tree=$(cargo tree --locked -p domain --edges normal --prefix none --format '{p}')
  if awk '{ print $1 }' <<<"$tree" | sort -u | grep -xE "$io" >&2; then
    say "    domain may do no input or output, but depends on the crates above"
    return 1
  fi
}

# Handlers hold no SQL, the store holds no HTTP.
sql_is_in_the_store() {
  local wrong
  wrong=$(grep -rnE 'sqlx::(query|raw_sql|QueryBuilder)' api/src --include='*.rs' | grep -v '^api/src/store/' || true)
  wrong+=$(grep -rnE '\b(axum|http|hyper|reqwest)::' api/src/store --include='*.rs' || true)
  [ -z "$wrong" ] || { say "    in the wrong place:" "$wrong"; return 1; }
}

# A script that does not parse is found here, not by the one who needs it. shellcheck, where it is
# installed, finds more.
scripts() {
  local script
  for script in dev/*.sh .ci/run; do bash -n "$script" || return 1; done
  if have shellcheck; then
    shellcheck --external-sources --severity=warning dev/*.sh .ci/run
  else
    say "    shellcheck is not installed: syntax checked only"
  fi
}

unused_dependencies() { "$machete" --with-metadata .; }

licences_and_sources() { "$deny" --locked check licenses bans sources; }

# Known vulnerabilities are a list kept elsewhere. Without a network the rest of the checks still count.
advisories() {
  if within 60 "$deny" --locked fetch db >/dev/null 2>&1; then
    "$deny" --locked check --disable-fetch advisories
  else
    say "    NOT CHECKED: the advisory database could not be fetched from here"
  fi
}

lints() { cargo clippy --locked --workspace --all-targets -- -D warnings; }

documentation() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet; }

fast_tests() { cargo test --locked --quiet -p domain; }

trap 'step_failed $?' EXIT
need_toolchain
begun=$SECONDS
step 'format' formatted
step 'scripts' scripts
step 'arrows: domain does no input or output' domain_is_pure
step 'arrows: SQL is in the store alone' sql_is_in_the_store
machete=$("$here/tools.sh" cargo-machete)
deny=$("$here/tools.sh" cargo-deny)
step 'unused dependencies' unused_dependencies
step 'licences and sources of dependencies' licences_and_sources
step 'known vulnerabilities of dependencies' advisories
step 'lints' lints
step 'documentation' documentation
step 'fast tests' fast_tests
say "all checks passed ($((SECONDS - begun)) s)"
