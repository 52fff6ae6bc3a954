#!/bin/sh
# The book on a machine without a network: check the parts, unpack, install, run.
#
#     sh install.sh FOLDER [PROFILE=full PHOTOS=... MNIST=...]
#
# FOLDER gets `book`, a clone with its environment in .venv, and `wheels`. What follows goes to
# `make book`; the same command, or `make book` in FOLDER/book, goes on after a break.
set -eu

fail() {
    echo "error: $1" >&2
    exit 1
}

PYTHON=${PYTHON:-@PYTHON@}
[ $# -gt 0 ] || fail "give the folder to install to: sh install.sh FOLDER"
command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON, for which these wheels are"
command -v make >/dev/null || fail "there is no make"
mkdir -p "$1"
to=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")"

[ -f SHA256SUMS ] || fail "SHA256SUMS is missing"
while read -r sum part; do
    [ -f "$part" ] || fail "part $part is missing; copy it here"
    found=$(sha256sum <"$part" | cut -d' ' -f1)
    [ "$found" = "$sum" ] || fail "part $part is damaged; copy it here again"
done <SHA256SUMS
cut -c67- SHA256SUMS | while read -r part; do cat "$part"; done | tar -xf - -C "$to"

cd "$to/book"
export PIP_NO_INDEX=1 PIP_FIND_LINKS=../wheels UV_OFFLINE=1 UV_FIND_LINKS=../wheels
make env PYTHON="$PYTHON"
make book "$@"
