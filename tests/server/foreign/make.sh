#!/usr/bin/env bash
# make.sh FOLDER: makes a virtual environment of Python in that folder, with what tests the server
# from outside. Does nothing that is done already.
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
