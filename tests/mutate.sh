#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'END'
Usage: [sudo] tests/mutate.sh [NUMBER [PATH...]]

Change the decision, job and parser code in NUMBER ways (default 480), one at a
time and spread over all files of the pure layers, and see whether the unit and
property tests notice, or at last those that let memory and calls fail. With
PATHs, as dom0/wire/, only those of the NUMBER whose file begins so. The kinds of
change are listed in mutate.py.

Each survivor is shown. One that cannot be noticed, since the change makes no
difference, is to be explained in tests/mutate.explained. Fails if fewer than 95
of 100 are caught, or a survivor is not explained. By hand, it takes long: about
3 s a change on an idle core. Works on a copy in build-mutate/.

May be interrupted. What was caught is kept in build-mutate/caught, and not tried
again while its file is the same, and all headers and tests are; remove that to
begin anew.
END
}

if [[ "${1-}" == --help ]]; then
    usage
    exit 0
fi
number=${1:-480}
if ! [[ "$number" =~ ^[1-9][0-9]*$ ]]; then
    usage >&2
    exit 64
fi
(($# > 0)) && shift

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh

build='build-mutate'
setup_packages || exit 1
setup_as_user . rm -rf "$build/tree"
setup_as_user . mkdir -p "$build/tree"
setup_as_user . cp -a CMakeLists.txt version common dom0 sysusb policy \
    packaging tests "$build/tree/"
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
if ! { setup_as_user . cmake -S "$build/tree" -B "$build/out" -G Ninja \
    -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-O0 \
    -DAUTOATTACH_TEST_SHARE=20 &&
    setup_as_user . cmake --build "$build/out"; } >"$log" 2>&1; then
    cat "$log"
    echo "mutate.sh: $build does not build" >&2
    exit 1
fi
# a change may make a test take all that it gets
ulimit -c 0 -v 4000000
setup_as_user . python3 tests/mutate.py "$build/tree" "$build/out" \
    tests/mutate.explained "$build/caught" "$number" "$@"
