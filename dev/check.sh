#!/usr/bin/env bash
# Everything that can be said about the code without a database: format, lints, documentation, what it
# depends on, and the fast tests. `make check` and `make test` begin here.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"
cd "$here/.."

formatted() {
  { cargo fmt --all --check && cargo fmt --manifest-path fuzz/Cargo.toml --check; } ||
    { say "    make fmt mends it"; return 1; }
}

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

# The Python of ours: what LocalStack and the emulator run.
python_parses() {
  local python
  python=$(need_python)
  "$python" -c 'import ast, sys; [ast.parse(open(name).read(), name) for name in sys.argv[1:]]' "$@"
}

# The board's modules: what they do, the tests look at.
modules_parse() {
  local module
  have node || { say "    node is not installed: the board's modules were not looked at"; return 0; }
  for module in "$@"; do
    node --check --input-type=module <"$module" || { say "    in $module"; return 1; }
  done
}

# A cold start loads what the function links: no server, no database.
lambda_is_small() {
  local tree
  tree=$(cargo tree --locked -p indexer-lambda --edges normal --prefix none --format '{p}')
  if awk '{ print $1 }' <<<"$tree" | sort -u | grep -xE 'axum.*|sqlx.*|api' >&2; then
    say "    indexer-lambda may not depend on the crates above"
    return 1
  fi
}

# Whoever else named an index, an alias or a call of OpenSearch could forget the tenant.
search_names_indices() {
  local wrong
  wrong=$(grep -rnE '"[^"]*(_bulk|_search|_msearch|_alias|_index_template|_delete_by_query|require_alias)\b' \
    api/src indexer-lambda/src domain/src --include='*.rs' || true)
  wrong+=$(grep -rnE '\bopensearch::' api/src indexer-lambda/src domain/src --include='*.rs' || true)
  [ -z "$wrong" ] || { say "    only the crate search may name these:" "$wrong"; return 1; }
}

# A script that does not parse is found here, not by the one who needs it. shellcheck, where it is
# installed, finds more.
scripts() {
  local script
  for script in dev/*.sh .ci/run; do bash -n "$script" || return 1; done
  python_parses dev/*.py dev/schemathesis/*.py dev/template/*.py dev/trials/*.py localstack/*.py localstack/ready.d/*.py || return 1
  modules_parse api/assets/board/*.js api/tests/browser/*.mjs api/tests/browser/scenarios/*.mjs || return 1
  if have shellcheck; then
    shellcheck --external-sources --severity=warning dev/*.sh .ci/run
  else
    say "    shellcheck is not installed: syntax checked only"
  fi
}

# A promise in a document is worth as much as the test beside it.
named_things() {
  local python
  python=$(need_python)
  "$python" dev/named_things.py .
}

# Where there is nothing to read it with, the rest of the checks still count.
compose_file() {
  if "$here/compose.sh" find >/dev/null; then
    "$here/compose.sh" config
  else
    say "    NOT CHECKED: neither Docker Compose nor Go is here to read docker-compose.yml with"
  fi
}

# What the images are built from is named one by one.
images_get_all_crates() {
  local member missing=0
  for member in $(sed -n 's/^members = \[\(.*\)\]$/\1/p' Cargo.toml | tr -d '",'); do
    grep -qxF "!$member" .dockerignore || { say "    $member is a crate of the workspace and not in .dockerignore"; missing=1; }
  done
  return "$missing"
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
step 'tests that the documents name' named_things
step 'docker-compose.yml' compose_file
step 'crates that the images are built from' images_get_all_crates
step 'templates for AWS' "$here/template.sh" lint
step 'arrows: domain does no input or output' domain_is_pure
step 'arrows: indexer-lambda links no server and no database' lambda_is_small
step 'arrows: only search names an index' search_names_indices
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
