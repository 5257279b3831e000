#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The main job on a simulated dom0: a virtual USB stick reaches its qube. Does
# all its set-up by itself, on Debian 12 and later and Fedora 41 and later.
set -euo pipefail

cd "$(dirname "$0")/.."
. tests/setup.sh

if [[ "${1-}" == --help || $# -gt 0 ]]; then
    echo "Usage: sudo tests/demo.sh"
    [[ "${1-}" == --help ]] && exit 0
    exit 64
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { setup_packages && setup_build "$PWD/build-demo" -DAUTOATTACH_TESTS=OFF; } \
    >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
AUTOATTACH_BUILD=$PWD/build-demo exec /usr/bin/python3 tests/demo.py
