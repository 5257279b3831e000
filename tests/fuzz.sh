#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'EOF'
Usage: [sudo] tests/fuzz.sh [--afl | --seed N] TARGET|all SECONDS

Fuzz one target, or each in turn, for so many seconds: TARGET is the name of a
file tests/fuzz/fuzz-TARGET.c, as record. Needs clang; installs what is missing.

Builds in build-fuzz/. What was found grows in build-fuzz/corpus/TARGET; an input
that breaks a property is left in build-fuzz/found/ and ends in exit status 1.
Put it into tests/fuzz/corpus/TARGET, where every test run replays it.

  --afl     with AFL++ instead of libFuzzer: builds in build-afl/, what grows and
            what was found is in build-afl/out/TARGET/default
  --seed N  of libFuzzer's random numbers; where nothing has grown yet, another
            run begins with the same inputs (default: another each time)

Prints per target the executions, and with libFuzzer the edges that are covered
(cov), the corpus (corp) and findings.
EOF
}

if [[ "${1-}" == --help ]]; then
    usage
    exit 0
fi
afl=no seed=0
if [[ "${1-}" == --afl ]]; then
    afl=yes
    shift
elif [[ "${1-}" == --seed && "${2-}" =~ ^[1-9][0-9]*$ ]]; then
    seed=$2
    shift 2
fi
if (($# != 2)) || ! [[ "$2" =~ ^[1-9][0-9]*$ ]]; then
    usage >&2
    exit 64
fi

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh

seconds=$2
build='build-fuzz' compiler=clang
if [[ "$afl" == yes ]]; then
    build='build-afl' compiler='afl-clang-fast'
fi
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
if [[ "$afl" == yes ]]; then
    if command -v apt-get >/dev/null; then
        setup_ensure afl++ || exit 1
    else
        setup_ensure american-fuzzy-lop || exit 1
    fi
fi
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
if ! setup_build "$build" -DCMAKE_C_COMPILER="$compiler" -DAUTOATTACH_FUZZ=ON \
    -DAUTOATTACH_TESTS=OFF -DAUTOATTACH_SANITIZE=address,undefined \
    >"$log" 2>&1; then
    cat "$log"
    exit 1
fi

# The longest input in bytes: more than a limit of the decoder, if that can be
# reached so. What is longer comes late: the length grows with the run.
fuzz_max_len() {
    case $1 in
    control) echo 70000 ;; # CONTROL_CALL_MAX
    state) echo 400000 ;;  # STATE_PLUGS_MAX
    udev) echo 140000 ;;   # USB_DESCRIPTORS_MAX, in hex
    *) echo 10000 ;;
    esac
}

# fuzz_libfuzzer TARGET PROGRAM CORPUS...
fuzz_libfuzzer() {
    local target=$1 program=$2 status options
    shift 2
    options=(-max_total_time="$seconds" -seed="$seed" -timeout=10
        -rss_limit_mb=1024 -max_len="$(fuzz_max_len "$target")"
        -print_final_stats=1
        -artifact_prefix="$build/found/$target-")
    [[ -n "$dict" ]] && options+=(-dict="$dict")

    # what grows first: new inputs are written to the first folder
    setup_as_user . mkdir -p "$build/corpus/$target" "$build/found"
    setup_as_user . "$program" "${options[@]}" "$build/corpus/$target" "$@" \
        >"$log" 2>&1
    status=$?
    if ((status != 0)); then
        grep -v -e '^#' "$log"
        return 1
    fi
    grep -e DONE -e number_of_executed_units -e average_exec "$log"
}

# fuzz_afl TARGET PROGRAM CORPUS...
fuzz_afl() {
    local target=$1 program=$2 folder out="$build/out/$1" seeds="$build/seeds/$1"
    local options=() max_len
    max_len=$(fuzz_max_len "$target")
    shift 2
    [[ -n "$dict" ]] && options+=(-x "$dict")

    # one folder, and nothing empty
    setup_as_user . rm -rf "$out" "$seeds"
    setup_as_user . mkdir -p "$out" "$seeds"
    for folder in "$@"; do
        find "$folder" -type f -size +0 -size "-${max_len}c" -exec \
            sh -c 'cp "$1" "$2/$(echo "$1" | tr / _)"' - {} "$seeds" \;
    done
    setup_as_user . env AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 \
        AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_AUTORESUME=0 \
        afl-fuzz -V "$seconds" -t 10000 -m none -i "$seeds" -o "$out" \
        "${options[@]}" -- "$program" >"$log" 2>&1
    if [[ ! -f "$out/default/fuzzer_stats" ]]; then
        cat "$log"
        return 1
    fi
    grep -e execs_done -e execs_per_sec -e edges_found -e saved_ \
        "$out/default/fuzzer_stats"
    ! grep -qE '^saved_(crashes|hangs) *: [1-9]' "$out/default/fuzzer_stats"
}

n_failed=0
for target in "${targets[@]}"; do
    program=$build/tests/fuzz/fuzz-$target
    if [[ ! -x "$program" ]]; then
        echo "fuzz.sh: $target has no line in tests/fuzz/CMakeLists.txt" >&2
        n_failed=$((n_failed + 1))
        continue
    fi
    corpus=() dict=''
    for folder in "tests/fuzz/corpus/$target" "tests/$target"; do
        [[ -d "$folder" ]] && corpus+=("$folder")
    done
    [[ -f "tests/fuzz/$target.dict" ]] && dict=tests/fuzz/$target.dict

    echo "== $target, $seconds s"
    if [[ "$afl" == yes ]]; then
        fuzz_afl "$target" "$program" "${corpus[@]}"
    else
        fuzz_libfuzzer "$target" "$program" "${corpus[@]}"
    fi || n_failed=$((n_failed + 1))
done

echo "$((${#targets[@]} - n_failed)) passed, $n_failed failed"
((n_failed == 0))
