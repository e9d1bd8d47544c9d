#!/usr/bin/env bash
# Reads docker-compose.yml as Docker Compose does, without an engine: `docker compose` where it is, else the
# same program built from its Go module into the cache (once, two minutes).
#
#   dev/compose.sh config   exit 0 when the file is right
#   dev/compose.sh find     prints the command; exit 1 when there is neither Compose nor Go
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=dev/lib.sh
. "$here/lib.sh"

readonly module=github.com/docker/compose/v2 version=v2.40.3
readonly sum='h1:XeYkQu1svDtyfZPv5nTwFryQ25ZJMkIlc4pz9HalMPI='

build() {
  local place=$1 found source work
  found=$(cd / && GOFLAGS=-mod=mod go mod download -json "$module@$version") ||
    die "Go could not fetch $module" "$found"
  [[ $found == *"\"Sum\": \"$sum\""* ]] || die "what Go fetched is not $module $version as it was"
  source=$(sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p' <<<"$found")
  work=$(mktemp -d)
  cp -R "$source/." "$work"
  chmod -R u+w "$work"
  (cd "$work" && CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o docker-compose ./cmd) >&2 ||
    { rm -rf "$work"; die "Go could not build it, see above"; }
  mkdir -p "$place"
  mv "$work/docker-compose" "$place/docker-compose"
  rm -rf "$work"
}

find_compose() {
  local place=$cache/tools/docker-compose-$version
  if have docker && docker compose version >/dev/null 2>&1; then
    echo docker compose
  elif [ -x "$place/docker-compose" ]; then
    echo "$place/docker-compose"
  elif have go; then
    say "building docker-compose $version into $place (once)"
    build "$place"
    echo "$place/docker-compose"
  else
    return 1
  fi
}

config() {
  local compose
  compose=$(find_compose) || die "neither Docker Compose nor Go is here to read docker-compose.yml with"
  cd "$here/.."
  # shellcheck disable=SC2086
  $compose --file docker-compose.yml config --quiet
}

case ${1:-help} in
  config) config ;;
  find) find_compose ;;
  *) sed -n 's/^#   //p' "${BASH_SOURCE[0]}"; [ "${1:-help}" = help ] ;;
esac
