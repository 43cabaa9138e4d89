#!/usr/bin/env bash
# pion.sh FOLDER: makes the program with Pion's client in that folder, from Debian's package of its
# sources. Does nothing that is done already.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
mkdir -p "$1"
cd "$1"
# Tests may run side by side.
exec 9>made.lock
flock 9

if ! [ pion -nt "$here/pion/main.go" ]; then
  # The sources are where Debian puts them: no module is looked for anywhere else.
  cd "$here"
  GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode go build -o "$OLDPWD/pion" ./pion
fi
