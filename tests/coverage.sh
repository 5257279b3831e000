#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'END'
Usage: [sudo] tests/coverage.sh [-R REGEX] [--missing]

Build with gcov, run the tests (all, or those that match REGEX) and print what
lines and branches of common, dom0 and sysusb they have reached. Fails below
90 % of all lines, 80 % of all branches, or one line that was not run of a
function with "parse" or "decode" in its name. Built without optimization, which
takes lines away that then nobody misses.

  -R REGEX    only these tests; then nothing is too little
  --missing   also the lines that were not run

Branches as gcov counts them, without those of assert(), which are there not to
be taken. Builds in build-coverage/; the details are in build-coverage/*.json.
END
}

regex='' options=()
while (($# > 0)); do
    case $1 in
    -R)
        regex=${2-}
        [[ -n "$regex" ]] && shift
        ;;
    --missing) options+=(--missing) ;;
    --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 64
        ;;
    esac
    shift
done

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh

build='build-coverage'
setup_packages || exit 1
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
if ! setup_build "$build" -DCMAKE_C_COMPILER=gcc -DAUTOATTACH_TESTS=ON \
    -DAUTOATTACH_FUZZ=OFF -DCMAKE_BUILD_TYPE=Debug \
    -DAUTOATTACH_TEST_SHARE=10 \
    -DCMAKE_C_FLAGS='--coverage -fprofile-update=atomic -O0' >"$log" 2>&1; then
    cat "$log"
    echo "coverage.sh: $build does not build" >&2
    exit 1
fi

find "$build" -name '*.gcda' -delete
status=0
# what is waited for takes longer so
export AUTOATTACH_DEADLINE=${AUTOATTACH_DEADLINE:-120}
# what a daemon has run is written when it ends
setup_as_user . ctest --test-dir "$build" -j"$((2 * $(nproc)))" --output-on-failure \
    --timeout 900 --no-tests=error -R "${regex:-.}" </dev/null 2>&1 |
    tee "$log" | grep -E -e '\*\*\*' -e 'tests (passed|failed)' -e 'Test time'
if ! grep -q '100% tests passed' "$log"; then
    echo "coverage.sh: tests fail" >&2
    status=1
fi
[[ -n "$regex" ]] && options+=(--no-limits)
setup_as_user . tests/coverage.py "${options[@]}" "$build" . || status=1
exit "$status"
