#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'END'
Usage: [sudo] tests/soak.sh CYCLES [SEED]

Plug a virtual stick in and pull it out so often, with the real forwarder and
daemon and a simulated dom0, of which now and then one is killed at a random
moment; then a tenth as often, but at least 200 times, without kills. Each plug
has to end attached, each unplug detached. Each plug has one Attach; another one
is right only behind a kill, a look, and an Attach that did not succeed. Memory
and descriptors of daemon and forwarder have to stay as they are: those of each
process in its life, and without kills exactly.

Rates are off (--unlimited), else a minute had 20 plugs. Installs what is
missing and builds in build/. The seed is printed; with it again, the same
kills come at the same cycles.
END
}

if [[ "${1-}" == --help ]]; then
    usage
    exit 0
fi
if (($# < 1 || $# > 2)) || ! [[ "$1" =~ ^[1-9][0-9]*$ ]]; then
    usage >&2
    exit 64
fi

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh

setup_packages || exit 1
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
if [[ -z "${AUTOATTACH_BUILD-}" ]] &&
    ! setup_build build -DCMAKE_C_COMPILER=gcc >"$log" 2>&1; then
    cat "$log"
    exit 1
fi
setup_as_user . /usr/bin/python3 tests/soak.py "$@"
