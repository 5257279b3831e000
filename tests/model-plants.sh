#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does the model test find faults? Plants one at a time in a copy of the core and
# says after how many histories prop-model fails. By hand; takes a few minutes.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
histories=${1:-5000} # from each of its seeds
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
git ls-files -z | xargs -0 tar -c | tar -x -C "$tree"
cmake -S "$tree" -B "$tree/build" -G Ninja >/dev/null || exit 1

# FILE|what stands there|what is planted|what it means
plants=(
    'manager-window.c|device->refused_by_user = true;||a no is not kept'
    'manager-device.c|if (device_is_left_alone(device))|if (false)|a detach by the person is undone'
    'source.c|return a != b && (|return false && (|parts of one plug do not exclude one another'
    'source-memory.c|device->detached_by_user \|= found->detached_by_user;||a new probe is another plug'
    'manager-turn.c|return other;|return NULL;|USB attaches into one target side by side'
    'job-attach.c|if (answer->power == POWER_RUNNING)|if (true)|USB into a target that does not run'
    'manager-source.c|if (!device->plugged \|\| (device->told_by & bit) == 0) {|if (false) {|what is not in the picture stays'
    'manager-device.c|if (device->stopped.s[0] && task.start == RULE_START_TARGET)|if (false)|a stopped target is started again'
    'job-judge.c|return job_question(job, task->ask \|\| job->approved);|return job_question(job, false);|an ask rule does not ask'
    'manager-state.c|device->refused_by_user = plug->refused_by_user;||a restart forgets a no'
    'manager-source.c|source_unplug(m, source, "its qube was restarted", now);||a new boot of the source is not noticed'
    'manager-turn.c|if (device_is_looked_at(managed->device))|if (false)|parts do not wait for a look'
    'job-detach.c|return job_retry(job, JOB_DETACHING, STATUS_ATTACH_FAILED,|return job_finish(job, STATUS_DETACHED, ""); return job_retry(job, JOB_DETACHING, STATUS_ATTACH_FAILED,|a Detach that failed is taken for done'
    'job-step.c|job->waited = true;||a policy that was tightened meanwhile does not count'
    'manager-policy.c|device->waits_for_policy = true;||what the policy daemon gave no answer for is lost'
    'manager-acts.c|if (!all && !device->waits_for_pause)|if (false)|a pause that runs out decides all'
    'manager-end.c|if (begun_usec == 0 \|\||if (true \|\||a late attach is not told'
    'manager-end.c|part->waits_for_room = true;||what was in the way stays so for ever'
    'job-detach.c|return job->task.close ? job_call(|return false ? job_call(|a disposable is left behind'
    'target-start.c|if (start->running)|if (false)|a target is started once for each device'
)

n_found=0 n=0
for plant in "${plants[@]}"; do
    n=$((n + 1))
    IFS=$'\x1f' read -r file from to meaning \
        <<<"$(sed -e 's/\\|/\x1e/g' -e 's/|/\x1f/g' -e 's/\x1e/|/g' <<<"$plant")"
    cp "dom0/core/$file" "$tree/dom0/core/$file"
    if ! grep -qF -- "$from" "$tree/dom0/core/$file"; then
        echo "not planted, $file has changed: $meaning"
        continue
    fi
    FROM=$from TO=$to perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/' \
        "$tree/dom0/core/$file"
    if ! ninja -C "$tree/build" prop-model >"$tree/log" 2>&1; then
        echo "does not build: $meaning"
    elif AUTOATTACH_HISTORIES=$histories \
        timeout 300 "$tree/build/tests/property/prop-model" >"$tree/log" 2>&1; then
        echo "NOT FOUND in $histories histories: $meaning"
    else
        n_found=$((n_found + 1))
        echo "found in history $(grep -ao 'history [0-9]* fails' "$tree/log" |
            grep -o '[0-9]*' || echo '?'): $meaning"
    fi
    cp "dom0/core/$file" "$tree/dom0/core/$file"
done
echo "$n_found of $n found"
((n_found == n))
