#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'END'
Usage: [sudo] tests/valgrind.sh [--integration] [REGEX]

Build with -O0 and run the unit and property tests and the fuzz corpora (those whose
name, as unit/test-text, matches REGEX) under valgrind: an invalid access, a use
of what was not initialized, or a leak is a failure. Then build with -O3 and run
the same without valgrind. Installs what is missing. Builds in build-valgrind/
and build-O3/. Of random tests one round in 200 is run under valgrind, and what
takes longer than 90 s of CPU is cut off, with no finding until then: it is told,
and does not count as passed.

Under valgrind unit/test-agent and unit/test-udev-source are left out, since they
run below a wrapper, and so are the tests that take over malloc() (fault/): these
run with -O3 only. So do single tests that valgrind cannot run, see
SKIP_UNDER_VALGRIND() in tests/support/test.h.

With --integration, run the tests of tests/integration in place of these, with the
four programs under valgrind: what it says of one of them is a failure as well. A
program that a test kills is not looked at for leaks. Left out are test-sim, which
runs none of the programs, and test-forwarder where the kernel keeps few events.
END
}

# build FOLDER LEVEL SHARE
build() {
    if ! setup_build "$1" -DCMAKE_C_COMPILER=gcc -DAUTOATTACH_TESTS=ON \
        -DAUTOATTACH_FUZZ=OFF -DCMAKE_BUILD_TYPE=None \
        -DCMAKE_C_FLAGS="$2 -g" -DAUTOATTACH_TEST_SHARE="$3" \
        >"$logs/build" 2>&1; then
        cat "$logs/build"
        echo "valgrind.sh: $1 does not build" >&2
        exit 1
    fi
}

valgrind=(valgrind --quiet --error-exitcode=99 --num-callers=24 --leak-check=full
    "--show-leak-kinds=definite,indirect,possible"
    "--errors-for-leak-kinds=definite,indirect,possible")
# What walks all of something is cut off after so many seconds of CPU; until then
# there was no finding, as the first one ends the program. What hangs is a failure.
cpu_max=90
seconds_max=900
status_cut=$((128 + 24)) # SIGXCPU

# run_valgrind PROGRAM [ARGUMENT...]
run_valgrind() (
    ulimit -S -t "$cpu_max"
    setup_as_user . env AUTOATTACH_VALGRIND=1 AUTOATTACH_HISTORIES=50 \
        timeout "$seconds_max" "${valgrind[@]}" --exit-on-first-error=yes "$@"
)

# wrap FOLDER
# The programs as integration tests look for them, each under valgrind.
wrap() {
    local program

    mkdir -p "$1"/{dom0,sysusb,said}
    # also of who is nobody
    chmod 1777 "$1/said"
    for program in "${programs[@]}"; do
        printf '#!/bin/sh\nexec %s --log-file="%s/said/%%p" "%s" "$@"\n' \
            "${valgrind[*]}" "$1" "$root/build-valgrind/$program" >"$1/$program"
        chmod 0755 "$1/$program"
    done
}

# run_integration FILE
# A file of tests with wrapped programs: that valgrind says nothing is part of it.
run_integration() {
    local wrapped status

    wrapped=$logs/${1%.py}.programs
    wrap "$wrapped"
    setup_as_user . env AUTOATTACH_VALGRIND=1 AUTOATTACH_BUILD="$wrapped" \
        AUTOATTACH_DEADLINE=300 PYTHONDONTWRITEBYTECODE=1 \
        timeout "$((2 * seconds_max))" /usr/bin/python3 "tests/integration/$1"
    status=$?
    if ! compgen -G "$wrapped/said/*" >/dev/null; then
        echo "valgrind.sh: none of the programs was run"
        return 1
    fi
    # what begins with two dashes is about valgrind: a system call that is new to it
    if grep -hv '^--[0-9]*-- ' "$wrapped/said"/*; then
        return 99
    fi
    return "$status"
}

# can_run NAME
# umockdev ends when the kernel takes no more of its events, and a program under
# valgrind is slow to read them; systemd has the kernel keep 512.
events_min=128
can_run() {
    local kept

    case $1 in
    integration/test-sim)
        echo "left out: $1, which runs none of the programs"
        return 1
        ;;
    integration/test-forwarder)
        kept=$(</proc/sys/net/unix/max_dgram_qlen)
        ((kept >= events_min)) && return
        echo "left out: $1, as net.unix.max_dgram_qlen is only $kept"
        return 1
        ;;
    esac
}

# one NAME COMMAND [ARGUMENT...]
one() {
    local name=$1 log status begun=$SECONDS
    shift
    log=$logs/${name//\//-}

    "$@" >"$log" 2>&1 </dev/null
    status=$?
    if ((status == 0)); then
        echo "passed  $name, $((SECONDS - begun)) s"
        echo passed >>"$logs/results"
    elif ((status == status_cut)); then
        echo "cut off $name, not looked at for leaks"
        echo "cut $name" >>"$logs/results"
    else
        echo "FAILED  $name, status $status"
        tail -n 60 "$log"
        echo failed >>"$logs/results"
    fi
}

# Two at a time.
leave_one() {
    while (($(jobs -pr | wc -l) >= 2)); do
        wait -n
    done
}

count() {
    wait
    [[ -f "$logs/results" ]] || return
    n_passed=$(grep -c ^passed "$logs/results")
    n_failed=$(grep -c ^failed "$logs/results")
    if grep -q ^cut "$logs/results"; then
        echo "cut off after $cpu_max s of CPU, and not counted as passed:" \
            "$(sed -n 's/^cut //p' "$logs/results" | tr '\n' ' ')"
    fi
}

finish() {
    echo "$n_passed passed, $n_failed failed"
    ((n_failed == 0))
    exit
}

# what test-valgrind.py wants
[[ "${BASH_SOURCE[0]}" == "$0" ]] || return 0

if [[ "${1-}" == --help ]]; then
    usage
    exit 0
fi
integration=no
if [[ "${1-}" == --integration ]]; then
    integration=yes
    shift
fi
if (($# > 1)) || [[ "${1-}" == -* ]]; then
    usage >&2
    exit 64
fi

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh

regex=${1:-.}
setup_packages || exit 1
setup_ensure valgrind || exit 1
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
chmod 0777 "$logs"
n_passed=0 n_failed=0
root=$PWD

if [[ "$integration" == yes ]]; then
    programs=(dom0/qubes-autoattachd dom0/qvm-autoattach
        sysusb/qubes-autoattach-forwarder sysusb/qubes-autoattach-send)
    echo "== integration tests, programs with -O0 under valgrind, in build-valgrind/"
    setup_targets=("${programs[@]##*/}")
    build build-valgrind -O0 200
    for file in tests/integration/test_*.py; do
        file=${file##*/}
        name=${file%.py}
        name=integration/${name//_/-}
        [[ "$name" =~ $regex ]] || continue
        can_run "$name" || continue
        one "$name" run_integration "$file" &
        leave_one
    done
    count
    if [[ ! -f "$logs/results" ]]; then
        echo "valgrind.sh: no test was run" >&2
        n_failed=1
    fi
    finish
fi

echo "== -O0 under valgrind, in build-valgrind/"
build build-valgrind -O0 200
for kind in unit property; do
    for program in build-valgrind/tests/"$kind"/*; do
        name=$kind/${program##*/}
        [[ -f "$program" && -x "$program" && "$name" =~ $regex ]] || continue
        [[ "$name" =~ ^unit/test-(agent|udev-source)$ ]] && continue
        one "$name" run_valgrind "$root/$program" &
        leave_one
    done
done
for program in build-valgrind/tests/fuzz/fuzz-*; do
    name=fuzz/${program##*/}
    [[ -f "$program" && -x "$program" && "$name" =~ $regex ]] || continue
    target=${program##*/fuzz-}
    corpus=tests/fuzz/corpus/$target
    [[ -d "$corpus" ]] || corpus=tests/$target
    one "$name" run_valgrind "$root/$program" "$corpus" &
    leave_one
done
count

echo "== -O3, in build-O3/"
build build-O3 -O3 10
setup_as_user . ctest --test-dir build-O3 -j2 --output-on-failure --timeout 600 \
    --no-tests=error -R "$regex" -E '^(integration|live|bench|source)/' </dev/null 2>&1 |
    tee "$logs/O3" | grep -vE '^ +Start '
if [[ "$(grep 'tests failed out of' "$logs/O3")" =~ \
    ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
    n_failed=$((n_failed + BASH_REMATCH[1]))
    n_passed=$((n_passed + BASH_REMATCH[2] - BASH_REMATCH[1]))
else
    echo "valgrind.sh: no test was run with -O3" >&2
    n_failed=$((n_failed + 1))
fi
finish
