#!/usr/bin/env bash
# python.sh FOLDER REQUIREMENTS: makes a virtual environment of Python in FOLDER/python with what
# the file REQUIREMENTS lists. Does nothing that is done already.
set -euo pipefail

requirements=$(readlink -f "$2")
mkdir -p "$1"
cd "$1"
# Tests may run side by side.
exec 9>made.lock
flock 9

if ! cmp -s "$requirements" python/requirements.txt; then
  rm -rf python
  python3 -m venv python
  python/bin/pip install --quiet --disable-pip-version-check --only-binary :all: \
    --require-hashes -r "$requirements"
  cp "$requirements" python/
fi
