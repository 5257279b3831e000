#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'EOF'
Usage: [sudo] tests/run.sh [OPTION...]

Install what is missing (Debian 12 and 13, Fedora 41 and later), build, run all
tests. The last line says how many passed and failed; so does the exit status.
Before it is told which single tests of these were skipped, and why: some need
root, others must not have it.

  --compiler gcc|clang  which compiler (default gcc; clang with --sanitize)
  --sanitize            build with AddressSanitizer and UBSan
  --all                 gcc, clang, and clang with sanitizers, one after another,
                        with --werror; then the stages, below; packages and
                        machine on Debian, as root
  --werror              warnings are errors
  -R REGEX              only the tests whose name matches, as unit/test-text
  --help                show this

Builds in build/, build-clang/, build-sanitize/ (with gcc build-gcc-sanitize/).
Under sudo, building and testing are done as the person who called it. A test is
one program or script; `ctest --test-dir build -V -R NAME` shows its cases.

The stages, which stages.sh tells of:
EOF
    echo "${stages[*]}" | fold -s -w 80
}

wrong_usage() {
    echo "run.sh: $1; see --help" >&2
    exit 64
}

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh
. tests/stages.sh

compiler='' sanitize=no all=no
cmake_options=() ctest_options=()
n_passed=0 n_failed=0

while (($# > 0)); do
    case $1 in
    --compiler)
        [[ "${2-}" == gcc || "${2-}" == clang ]] ||
            wrong_usage "--compiler takes gcc or clang"
        compiler=$2
        shift
        ;;
    --sanitize) sanitize=yes ;;
    --all)
        all=yes
        cmake_options+=(-DCMAKE_COMPILE_WARNING_AS_ERROR=ON)
        ;;
    --werror) cmake_options+=(-DCMAKE_COMPILE_WARNING_AS_ERROR=ON) ;;
    -R)
        [[ -n "${2-}" ]] || wrong_usage "-R takes a regular expression"
        ctest_options+=(-R "$2")
        shift
        ;;
    --help)
        usage
        exit 0
        ;;
    *) wrong_usage "unknown option $1" ;;
    esac
    shift
done

finish() {
    echo
    echo "$n_passed passed, $n_failed failed"
    ((n_failed == 0))
    exit
}

fail() {
    echo "run.sh: $1" >&2
    n_failed=$((n_failed + 1))
}

# run_one COMPILER SANITIZE
run_one() {
    local compiler=$1 sanitize=$2 build sanitizers='' log failed total
    local rnd_bits=/proc/sys/vm/mmap_rnd_bits steady=()

    case $compiler-$sanitize in
    gcc-no) build=build ;;
    clang-no) build='build-clang' ;;
    gcc-yes) build='build-gcc-sanitize' ;;
    clang-yes) build='build-sanitize' ;;
    esac
    [[ "$sanitize" == yes ]] && sanitizers=address,undefined

    echo "== $compiler${sanitizers:+ with $sanitizers}, in $build/"
    log=$(mktemp) || exit 1
    if ! setup_build "$build" -DCMAKE_C_COMPILER="$compiler" \
        -DAUTOATTACH_SANITIZE="$sanitizers" -DAUTOATTACH_TESTS=ON \
        -DAUTOATTACH_DOM0=ON -DAUTOATTACH_SYSUSB=ON -DAUTOATTACH_FUZZ=OFF \
        "${cmake_options[@]}" >"$log" 2>&1; then
        cat "$log"
        rm -f "$log"
        fail "$build does not build"
        return
    fi
    # what compilers say is shown also when it did not stop them
    grep -A 8 -F 'warning: ' "$log"

    # where the kernel takes more random bits than this for its addresses, a
    # program with the sanitizers of clang before 18 dies by chance as it starts
    if [[ "$sanitize" == yes && -r "$rnd_bits" ]] &&
        (($(<"$rnd_bits") > 28)) && setarch -R true 2>/dev/null; then
        steady=(setarch -R)
    fi
    setup_as_user . "${steady[@]}" ctest --test-dir "$build" \
        -j"$((3 * $(nproc)))" --output-on-failure --timeout 600 \
        --no-tests=error "${ctest_options[@]}" </dev/null 2>&1 |
        tee "$log"
    # "97% tests passed, 1 tests failed out of 40"
    if [[ "$(grep 'tests failed out of' "$log")" =~ \
        ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
        failed=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
        n_failed=$((n_failed + failed))
        n_passed=$((n_passed + total - failed))
        /usr/bin/python3 -B tests/skipped.py "$build/Testing/Temporary/LastTest.log"
    else
        fail "no test was run"
    fi
    rm -f "$log"
}

if [[ "$sanitize" == yes && -z "$compiler" ]]; then
    compiler=clang
fi
compiler=${compiler:-gcc}
if [[ "$all" == yes || "$compiler" == clang ]]; then
    setup_packages clang || { fail "packages are missing"; finish; }
else
    setup_packages || { fail "packages are missing"; finish; }
fi

if [[ "$all" == yes ]]; then
    run_one gcc no
    run_one clang no
    run_one clang yes
    if ((${#ctest_options[@]} == 0)); then
        for stage in "${stages[@]}"; do
            stage_is_there "$stage" && stage_run "$stage"
        done
    fi
else
    run_one "$compiler" "$sanitize"
    if ((${#ctest_options[@]} == 0)); then
        echo "Not run: ${stages[*]}; --all runs these too," \
            "tests/vm/run.sh only the machine with a real kernel"
    fi
fi
finish
