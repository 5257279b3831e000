#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'END'
Usage: [sudo] tests/bench.sh [--json] [--rounds N] [NAME...]

Build in release mode, in build-bench/, and measure; installs what is missing.
All of it takes some minutes, one of them in wait for nothing to happen:

  latency       record in to answer out, against a bare client that makes the
                same calls, and a daemon that does nothing else
  added         what of that is the daemon's own time
  chain         udev event to answer, through the real forwarder
  rules         the same against 10 to 10,000 rules; a reload
  burst         20 and 256 devices at once
  throughput    records that no rule matches, against jansson with the same lines
  commands      qvm-autoattach status, check, explain
  memory        of daemon and forwarder
  idle          how often they run while nothing happens
  start         exec to READY=1
  syscalls      of one event, by strace
  instructions  of one event, by callgrind, against tests/bench/instructions.txt

  --json               one JSON object in place of the table
  --rounds N           so many samples of a latency (2000)
  --keep-instructions  count instructions and write tests/bench/instructions.txt

dom0 is a stand-in that gives, without delay, the bytes which the simulated dom0
of the other tests gave. What is compared is measured in turns, so that the
machine's mood meets all alike; still, a machine that is idle tells more. There
is no pass or fail.
END
}

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh

for word in "$@"; do
    if [[ "$word" == --help ]]; then
        usage
        exit 0
    fi
done

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
setup_targets=(bench)
if ! { setup_packages && setup_ensure strace valgrind &&
    setup_build "$PWD/build-bench" -DCMAKE_C_COMPILER=gcc \
        -DCMAKE_BUILD_TYPE=Release; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
AUTOATTACH_BUILD=$PWD/build-bench PYTHONDONTWRITEBYTECODE=1 \
    setup_as_user . /usr/bin/python3 tests/bench/bench.py "$@"
