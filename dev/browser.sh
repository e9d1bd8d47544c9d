#!/usr/bin/env bash
# A browser for tests of the board: the system's Chromium, driven by playwright-core from npm.
# `browser.sh help` says how to use it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

readonly node_major_min=20

usage() {
  cat <<'USAGE'
usage: dev/browser.sh install

  install   find or install Node.js and Chromium, fetch the npm packages; prints the folder that has
            node_modules and a link `chromium`

AUDIT_CHROMIUM   the browser to take (default: chromium, chromium-browser, google-chrome on the path)
AUDIT_CACHE_DIR  where the packages go (default: ~/.cache/audit-log)
USAGE
}

# The system's packages, where they may be installed.
install_packages() {
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo -n)
  have apt-get && "${root[@]}" true 2>/dev/null || return 1
  say "installing the system's packages: $*"
  "${root[@]}" apt-get update -qq >&2 && "${root[@]}" apt-get install -y -qq --no-install-recommends "$@" >&2
}

node_is_there() {
  have node && have npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge "$node_major_min" ]
}

need_node() {
  node_is_there || install_packages nodejs npm || true
  node_is_there || die "tests of the board need Node.js $node_major_min or newer with npm" \
    "Debian 13: sudo apt-get install -y nodejs npm"
}

find_chromium() {
  local name
  if [ -n "${AUDIT_CHROMIUM:-}" ]; then
    command -v "$AUDIT_CHROMIUM" || die "AUDIT_CHROMIUM=$AUDIT_CHROMIUM is no program"
    return
  fi
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name"; then return; fi
  done
  return 1
}

# Letters are needed, too: without any font a page has no text to look at.
need_chromium() {
  find_chromium && return
  install_packages chromium fonts-dejavu-core || true
  find_chromium || die "tests of the board need Chromium" "sudo apt-get install -y chromium fonts-dejavu-core"
}

# One folder for each state of the lock file, moved to its place when whole; the second time is no work.
install() {
  local place new chromium
  need_node
  chromium=$(need_chromium)
  place=$cache/browser-$(cat "$here"/browser/package*.json | fingerprint)
  if [ ! -d "$place" ]; then
    mkdir -p "$cache"
    new=$(mktemp -d "$cache/browser.new.XXXXXX")
    cp "$here/browser/package.json" "$here/browser/package-lock.json" "$here/browser/.npmrc" "$new"
    say "fetching what drives the browser into $place (once)"
    (cd "$new" && npm ci --silent >&2) || { rm -rf "$new"; die "npm could not fetch it, see above"; }
    # Another run may have been faster.
    mv -T "$new" "$place" 2>/dev/null || [ -d "$place" ] || mv "$new" "$place"
    rm -rf "$new"
  fi
  ln -sfn "$chromium" "$place/chromium.$$"
  mv -T "$place/chromium.$$" "$place/chromium" 2>/dev/null || mv "$place/chromium.$$" "$place/chromium"
  echo "$place"
}

case ${1:-help} in
  install) install ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
