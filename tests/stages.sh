# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by .ci/run and run.sh --all: what there is beside the suite itself. A
# stage is a name, the minutes that it takes on two idle cores with nothing
# built, what it looks after (an extended regular expression of paths), and its
# command. One that ends with "N passed, N failed" is counted so, else as one.

stages=(packages machine coverage memory analysers fuzz integration-memory)
declare -A stage_minutes stage_paths stage_command

stage_minutes[packages]=10
stage_paths[packages]='^(packaging|tests/packaging|policy)/|^version$'
stage_paths[packages]+='|^CMakeLists\.txt$|^(common|dom0|sysusb)/CMakeLists\.txt$'
stage_command[packages]='tests/packaging/run.sh'

stage_minutes[machine]=6
stage_paths[machine]='^(tests/vm|packaging/systemd|sysusb)/'
stage_command[machine]='tests/vm/run.sh'

stage_minutes[coverage]=4
stage_paths[coverage]='^(common|dom0|sysusb)/|^tests/(unit|property|coverage)'
stage_command[coverage]='tests/coverage.sh'

stage_minutes[memory]=8
stage_paths[memory]='^(common|dom0/io|sysusb/io)/|^tests/(fault|support)/|valgrind'
stage_command[memory]='tests/valgrind.sh'

stage_minutes[analysers]=5
stage_paths[analysers]='^(common|dom0/io|sysusb/io)/|clang-tidy|cppcheck|analyse'
stage_command[analysers]='tests/analyse.sh'

stage_minutes[fuzz]=4
stage_paths[fuzz]='^(common|dom0/core|dom0/wire|sysusb/core|tests/fuzz)/'
stage_command[fuzz]='tests/fuzz.sh --seed 1 all 10'

stage_minutes[integration-memory]=16
stage_paths[integration-memory]='^(dom0|sysusb)/|^tests/(integration|sim)/|valgrind'
stage_command[integration-memory]='tests/valgrind.sh --integration'

# Whether a stage can be run here. One whose script is not there yet cannot; that
# of a script which is there and does not start is a failure of the stage.
stage_is_there() {
    local script=${stage_command[$1]%% *}

    if [[ ! -e "$script" ]]; then
        echo "stages: $1 is left out, there is no $script"
        return 1
    fi
    # systems are installed and booted
    if [[ "$1" == packages || "$1" == machine ]] &&
        { ((EUID != 0)) || ! command -v apt-get >/dev/null; }; then
        echo "stages: $1 is left out, it needs root and Debian"
        return 1
    fi
}

# stages_touched PATH...
# The stages that look after one of the paths, one a line.
stages_touched() {
    local stage

    for stage in "${stages[@]}"; do
        # all is read: printf that finds nobody listening would fail the pipe
        printf '%s\n' "$@" | grep -E "${stage_paths[$stage]}" >/dev/null &&
            echo "$stage"
    done
    return 0
}

# stage_run STAGE
# Run it; adds to n_passed and n_failed.
stage_run() {
    local log status begun=$SECONDS

    echo "== $1, about ${stage_minutes[$1]} min: ${stage_command[$1]}"
    log=$(mktemp) || return 1
    # a stage that hangs is no reason to hang
    timeout --kill-after=60 "$((stage_minutes[$1] * 4))m" \
        bash -c "${stage_command[$1]}" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    if ((status == 0)) && [[ "$(tail -n 1 "$log")" =~ \
        ^([0-9]+)\ passed,\ 0\ failed$ ]]; then
        n_passed=$((n_passed + BASH_REMATCH[1]))
    elif ((status == 0)); then
        n_passed=$((n_passed + 1))
    elif [[ "$(tail -n 1 "$log")" =~ \
        ^([0-9]+)\ passed,\ ([1-9][0-9]*)\ failed$ ]]; then
        n_passed=$((n_passed + BASH_REMATCH[1]))
        n_failed=$((n_failed + BASH_REMATCH[2]))
    else
        n_failed=$((n_failed + 1))
    fi
    rm -f "$log"
    echo "== $1 took $(((SECONDS - begun + 59) / 60)) min, status $status"
    return "$status"
}
