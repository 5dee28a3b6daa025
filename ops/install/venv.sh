#!/usr/bin/env bash
# Make .venv with everything the lock names, by hash, and filterd itself in editable form.
#
# usage: venv.sh
#
# Needs no root. Does nothing when lock and project are those of the last run (stamps in .venv/.filterd).
# FILTERD_PYTHON names the interpreter for a new .venv; without it the newest of 3.11 and later is taken.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
venv=.venv
stamps=$venv/.filterd
unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0 PIP_ROOT_USER_ACTION=ignore

die() {
    printf 'filterd install: %s\n' "$@" >&2
    exit 1
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() { # the newest interpreter that is there and can make a venv
    local candidate too_bare=
    for candidate in ${FILTERD_PYTHON:-python3.14 python3.13 python3.12 python3.11 python3 /usr/bin/python3}; do
        command -v "$candidate" >/dev/null || continue
        is_new_enough "$candidate" || continue
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
        too_bare=$candidate
    done
    if [ -n "$too_bare" ]; then
        die "$too_bare cannot make a venv; Debian keeps that part in python3-venv: apt-get install python3-venv"
    fi
    die "no Python 3.11 or later found${FILTERD_PYTHON:+ under the name $FILTERD_PYTHON}" \
        "(Debian 12: apt-get install python3 python3-venv; or name one: FILTERD_PYTHON=/path/to/python3)"
}

digest() { cat "$@" | sha256sum | cut -d' ' -f1; }
is_done() { [ -e "$stamps/$1" ] && [ "$(<"$stamps/$1")" = "$2" ]; }
pip_install() { "$venv/bin/python" -m pip install --quiet --progress-bar off "$@" </dev/null; }

# Two makes at once take turns.
exec 9<"$root/pyproject.toml"
flock 9

if [ -e "$stamps/place" ] && [ "$(<"$stamps/place")" != "$root" ]; then
    echo "filterd install: the checkout has moved, making $venv anew"
    rm -rf -- "$venv"
fi
if ! [ -x "$venv/bin/python" ] || ! is_new_enough "$venv/bin/python"; then
    python=$(find_python)
    echo "filterd install: $venv with $("$python" --version) ($python)"
    "$python" -m venv --clear "$venv"
fi
mkdir -p "$stamps"
printf '%s\n' "$root" >"$stamps/place"

lock=$(digest requirements-build.lock requirements-dev.lock)
if ! is_done lock "$lock"; then
    echo "filterd install: $(grep -c '==' requirements-dev.lock) locked packages"
    rm -f -- "$stamps/lock" "$stamps/project"
    # Source-only packages are built with the setuptools of the lock, not with whatever the index offers today.
    pip_install --require-hashes -r requirements-build.lock
    pip_install --require-hashes --no-build-isolation --use-pep517 -r requirements-dev.lock
    printf '%s\n' "$lock" >"$stamps/lock"
fi

project=$(digest pyproject.toml setup.py)
if ! is_done project "$project"; then
    pip_install --no-deps --no-build-isolation --editable .
    printf '%s\n' "$project" >"$stamps/project"
fi
