#!/usr/bin/env bash
# Installs by apt what the tests drive, if it is missing: browsers, another TURN server, what makes
# networks and firewalls, and what makes clients in other languages. Says nothing when all is there.
set -euo pipefail

# program=package
needed=(
  chromium=chromium
  firefox-esr=firefox-esr
  certutil=libnss3-tools
  turnserver=coturn
  conntrack=conntrack
  ip=iproute2
  nft=nftables
  go=golang-go
  openssl=openssl
  python3=python3
)
# path=package
needed_files=(
  /usr/share/gocode/src/github.com/pion/turn/v2=golang-github-pion-turn.v2-dev
)

missing=()
for entry in "${needed[@]}"; do
  command -v "${entry%%=*}" >/dev/null || missing+=("${entry#*=}")
done
for entry in "${needed_files[@]}"; do
  [ -e "${entry%%=*}" ] || missing+=("${entry#*=}")
done
# Debian's Python comes without it.
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
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
