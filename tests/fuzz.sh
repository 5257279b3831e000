#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'EOF'
Usage: [sudo] tests/fuzz.sh TARGET|all SECONDS

Fuzz one target, or each in turn, for so many seconds: TARGET is the name of a
file tests/fuzz/fuzz-TARGET.c, as record. Needs clang; installs what is missing.

Builds in build-fuzz/. What was found grows in build-fuzz/corpus/TARGET; an input
that breaks a property is left in build-fuzz/found/ and ends in exit status 1.
Put it into tests/fuzz/corpus/TARGET, where every test run replays it.
EOF
}

if [[ "${1-}" == --help ]]; then
    usage
    exit 0
fi
if (($# != 2)) || ! [[ "$2" =~ ^[1-9][0-9]*$ ]]; then
    usage >&2
    exit 64
fi

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh

seconds=$2
build='build-fuzz'
if [[ "$1" == all ]]; then
    targets=(tests/fuzz/fuzz-*.c)
    targets=("${targets[@]#tests/fuzz/fuzz-}")
    targets=("${targets[@]%.c}")
else
    targets=("$1")
    if [[ ! -f "tests/fuzz/fuzz-$1.c" ]]; then
        echo "fuzz.sh: there is no tests/fuzz/fuzz-$1.c" >&2
        exit 64
    fi
fi

setup_packages clang || exit 1
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
if ! setup_build "$build" -DCMAKE_C_COMPILER=clang -DAUTOATTACH_FUZZ=ON \
    -DAUTOATTACH_TESTS=OFF -DAUTOATTACH_SANITIZE=address,undefined \
    >"$log" 2>&1; then
    cat "$log"
    exit 1
fi

n_failed=0
for target in "${targets[@]}"; do
    program=$build/tests/fuzz/fuzz-$target
    if [[ ! -x "$program" ]]; then
        echo "fuzz.sh: $target has no line in tests/fuzz/CMakeLists.txt" >&2
        n_failed=$((n_failed + 1))
        continue
    fi
    # what grows first: new inputs are written to the first folder
    corpus=("$build/corpus/$target")
    for folder in "tests/fuzz/corpus/$target" "tests/$target"; do
        [[ -d "$folder" ]] && corpus+=("$folder")
    done
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024
        -max_len=10000 -print_final_stats=1
        -artifact_prefix="$build/found/$target-")
    [[ -f "tests/fuzz/$target.dict" ]] &&
        options+=(-dict="tests/fuzz/$target.dict")

    echo "== $target, $seconds s"
    setup_as_user . mkdir -p "${corpus[0]}" "$build/found"
    setup_as_user . "$program" "${options[@]}" "${corpus[@]}" >"$log" 2>&1
    status=$?
    if ((status != 0)); then
        grep -v -e '^#' "$log"
        n_failed=$((n_failed + 1))
    else
        grep -e DONE -e number_of_executed_units -e average_exec "$log"
    fi
done

echo "$((${#targets[@]} - n_failed)) passed, $n_failed failed"
((n_failed == 0))
