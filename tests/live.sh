#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'END'
Usage: [sudo] tests/live.sh HISTORIES [SEED] [OPTION...]

Play so many random histories with the real daemon, the real forwarder and the
simulated dom0, in real time, many side by side: devices that are plugged in,
pulled out and replaced, a person who attaches, detaches and answers prompts
or does not, qubes that start and stop, rules that change, and kill -9. After
each round of acts all has to come to rest, and then to be as the rules and the
acts call for; nothing may have been attached without leave or twice, nothing
may have leaked. At the end a table says how often each act and outcome was
seen; with 200 histories or more each kind of act has to have occurred.

  --only N   play the Nth history of the seed alone, and print all that happened
  --log      print that of each history that fails
  --again    play what fails once more: of 200, one that then passes is let pass
  --first    end with the first that fails
  --lanes N  so many side by side in each process (default 16)
  --help     show this

Installs what is missing and builds in build/ (or takes AUTOATTACH_BUILD). The
seed is printed; with it again the acts are the same, what crosses what is not.
END
}

for word in "$@"; do
    if [[ "$word" == --help ]]; then
        usage
        exit 0
    fi
done
if ! [[ "${1-}" =~ ^[1-9][0-9]*$ ]]; then
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
PYTHONDONTWRITEBYTECODE=1 setup_as_user . /usr/bin/python3 tests/live/live.py "$@"
