# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by .ci/run and run.sh --all: what there is beside the suite itself. A
# stage is a name, the minutes that it takes on two idle cores with nothing
# built, what it reads (an extended regular expression of paths), and its
# command. One that ends with "N passed, N failed" is counted so, else as one.

# Each commit has another: its number or, where git does not know all commits
# before it, what its id makes. Without git it is the minute.
stages_number() {
    local git=(git -c safe.directory='*') id

    if ! id=$("${git[@]}" rev-parse --verify --quiet HEAD 2>/dev/null); then
        echo "$((EPOCHSECONDS / 60))"
    elif [[ "$("${git[@]}" rev-parse --is-shallow-repository)" == true ]]; then
        echo "$((16#${id:0:7} + 1))"
    else
        "${git[@]}" rev-list --count HEAD
    fi
}

# All that read what a change touched do not fit into one run. These are quick,
# and tell most of what it can break: they come first.
stages_quick=(analysers fuzz packages)
# These take turns, by the number of the commit, so that none is always left out.
stages_long=(memory coverage integration-memory-1 machine integration-memory-2
    integration-memory-3 integration-memory-4)
stages=("${stages_quick[@]}" "${stages_long[@]}")
declare -A stage_minutes stage_paths stage_command

sources='^(common|dom0|sysusb)/'

stage_minutes[analysers]=3
stage_paths[analysers]="$sources|^\.clang-tidy$|^tests/(cppcheck|analyse)"
stage_command[analysers]='tests/analyse.sh'

# what the targets link, see tests/fuzz/CMakeLists.txt; another seed each time, as
# in a new clone nothing has grown yet
stage_minutes[fuzz]=4
stage_paths[fuzz]='^common/(wire/)?[^/]*$|^dom0/(core|wire)/'
stage_paths[fuzz]+='|^sysusb/core/|^tests/(fuzz|rules|support)/|^tests/fuzz\.sh$'
stage_command[fuzz]="tests/fuzz.sh --seed $(stages_number) all 10"

stage_minutes[packages]=3
stage_paths[packages]='^(packaging|tests/packaging|policy)/|^version$|^README\.md$'
stage_paths[packages]+='|^CMakeLists\.txt$|^(common|dom0|sysusb)/CMakeLists\.txt$'
stage_command[packages]='tests/packaging/run.sh'

stage_minutes[memory]=7
stage_paths[memory]="$sources|^tests/(unit|property|fault|fuzz|rules|support)/"
stage_paths[memory]+='|^tests/valgrind\.sh$'
stage_command[memory]='tests/valgrind.sh'

stage_minutes[coverage]=4
stage_paths[coverage]="$sources|^tests/(unit|property|fault|fuzz|rules|support)/"
stage_paths[coverage]+='|^tests/(integration|sim|live|bench)/|^tests/coverage'
stage_command[coverage]='tests/coverage.sh'

# of the sources what meets the kernel, udev and systemd
stage_minutes[machine]=5
stage_paths[machine]='^(tests/vm|tests/sim|tests/packaging|packaging|sysusb)/'
stage_paths[machine]+='|^(common/sys|dom0/io)/|^dom0/[a-z-]*\.[ch]$'
stage_command[machine]='tests/vm/run.sh'

# a part each, by the letter that the name of a file of tests begins with
for part in '1 5 [ab]' '2 6 c' '3 7 d' '4 7 [^a-d]'; do
    read -r part minutes letters <<<"$part"
    part=integration-memory-$part
    stage_minutes[$part]=$minutes
    stage_paths[$part]="$sources|^tests/(integration|sim|support)/"
    stage_paths[$part]+='|^tests/valgrind\.sh$'
    stage_command[$part]="tests/valgrind.sh --integration 'integration/test-$letters'"
done

# What a run is planned to take at most, and what the suite takes of that; see
# .ci/run. A run may take 30: the rest is for machines that are not idle.
minutes_max=27 minutes_suite=12

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
# The stages that read one of the paths, one a line.
stages_touched() {
    local stage

    for stage in "${stages[@]}"; do
        # all is read: printf that finds nobody listening would fail the pipe
        printf '%s\n' "$@" | grep -E "${stage_paths[$stage]}" >/dev/null &&
            echo "$stage"
    done
    return 0
}

# stages_turned NUMBER STAGE...
# These, one a line, beginning with the one whose turn it is.
stages_turned() {
    local at=$(($1 % ($# - 1)))
    shift

    printf '%s\n' "${@:at+1}" "${@:1:at}"
}

# stages_choose NUMBER PATH...
# Sets chosen: of those that the paths touched the quick ones, then the long ones
# beginning with the one in turn, as far as there is time, each that still fits;
# and in the time that is left one more of all, in turn. What there is no time
# for is told.
stages_choose() {
    local number=$1 stage minutes=$minutes_suite touched left_out=() there=' '
    shift
    chosen=()

    for stage in "${stages[@]}"; do
        stage_is_there "$stage" && there+="$stage "
    done
    touched=" $(stages_touched "$@" | tr '\n' ' ')"
    for stage in "${stages_quick[@]}" \
        $(stages_turned "$number" "${stages_long[@]}"); do
        [[ "$touched" == *" $stage "* && "$there" == *" $stage "* ]] || continue
        if ((minutes + stage_minutes[$stage] > minutes_max)); then
            left_out+=("$stage")
            continue
        fi
        minutes=$((minutes + stage_minutes[$stage]))
        chosen+=("$stage")
    done
    for stage in $(stages_turned "$number" "${stages[@]}"); do
        if [[ " ${chosen[*]} " != *" $stage "* && "$there" == *" $stage "* ]] &&
            ((minutes + stage_minutes[$stage] <= minutes_max)); then
            minutes=$((minutes + stage_minutes[$stage]))
            chosen+=("$stage")
            break
        fi
    done
    ((${#left_out[@]} == 0)) ||
        echo "stages: touched, but there is no time for: ${left_out[*]}"
    echo "stages: ${chosen[*]:-none}, about $minutes of $minutes_max min in all"
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
