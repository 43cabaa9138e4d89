#!/usr/bin/env bash
# make.sh FOLDER: makes what the clients need that are not written in Rust, in that folder: a
# virtual environment of Python with aioice (from PyPI), and a program with Pion's client (from
# Debian's package of its sources). Does nothing that is done already.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
mkdir -p "$1"
cd "$1"
# Tests may run side by side.
exec 9>made.lock
flock 9

if ! cmp -s "$here/requirements.txt" python/requirements.txt; then
  rm -rf python
  python3 -m venv python
  python/bin/pip install --quiet --disable-pip-version-check --only-binary :all: \
    --require-hashes -r "$here/requirements.txt"
  cp "$here/requirements.txt" python/
fi

if ! [ pion -nt "$here/pion/main.go" ]; then
  # The sources are where Debian puts them: no module is looked for anywhere else.
  cd "$here"
  GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode go build -o "$OLDPWD/pion" ./pion
fi
