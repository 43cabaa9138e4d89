#!/usr/bin/env bash
# Installs by apt the programs that the tests drive, if they are missing: a browser, another
# TURN server, and what makes networks and firewalls. Says nothing when all are there.
set -euo pipefail

# program=package
needed=(
  chromium=chromium
  turnserver=coturn
  conntrack=conntrack
  ip=iproute2
  nft=nftables
)

missing=()
for entry in "${needed[@]}"; do
  command -v "${entry%%=*}" >/dev/null || missing+=("${entry#*=}")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "The tests need ${missing[*]}, and this system has no apt-get: install them by hand." >&2
  exit 1
fi

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update -qq &&
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "could not install ${missing[*]}" >&2
  exit 1
fi
