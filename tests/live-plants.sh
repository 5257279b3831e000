#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does live.sh find faults? Plants one at a time in a copy of the programs and
# says how many histories were over when the first failed. By hand; takes a while.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
histories=${1:-600}
seed=${2:-1}
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
git ls-files -z | xargs -0 tar -c | tar -x -C "$tree"
cmake -S "$tree" -B "$tree/build" -G Ninja >/dev/null || exit 1

# FILE|what stands there|what is planted|what it means
plants=(
    'dom0/core/manager-state.c|device->detached_by_user = plug->detached_by_user;||a restart forgets a detach by the person'
    'dom0/core/manager-state.c|device->refused_by_user = plug->refused_by_user;||a restart forgets a no'
    'sysusb/agent.c|    log_message(LOG_INFO, "%s: %s", record->device.s,|    if (record->action == RECORD_REMOVE && record->class == DEVICE_CLASS_USB) return; log_message(LOG_INFO, "%s: %s", record->device.s,|the forwarder drops a remove'
    'dom0/core/job-attach.c|job->holding = HOLDING_DEVICE;\n        return job_finish(job, STATUS_ATTACHED, "");|job->holding = HOLDING_DEVICE; static unsigned int planted; if (planted++ % 2 == 0) return job_call(job, JOB_ATTACHING, ADMIN_ATTACH); return job_finish(job, STATUS_ATTACHED, "");|an Attach that went well is called once more'
    'dom0/core/manager-source.c|    drop_parts(m, device, now);\n    device_unplug|    if (device->job && device->job->job.state == JOB_STARTING) return STATUS_DETACHED; drop_parts(m, device, now);\n    device_unplug|an unplug during a start is not noticed'
    'dom0/core/manager-power.c|else if (waits_for(m, device, name))|else if (false)|what waits for a target does not come with it'
    # in one place: what decides and what lets attach both look there
    'dom0/core/source.c|    if (device->detached_by_user)\n        return true;|    return false;|a detach by the person is undone'
    'dom0/core/source.c|return a != b && (device_is_ancestor(a, b) \|\| device_is_ancestor(b, a));|return a != b && false && (device_is_ancestor(a, b) \|\| device_is_ancestor(b, a));|parts of one plug do not exclude one another'
    'dom0/core/manager-source.c|source_unplug(m, source, "its qube was restarted", now);||a new boot of the source is not noticed'
    'dom0/io/control-client.c|    fd_close(client->fd);\n    control_buffer_clear|    control_buffer_clear|a descriptor leaks with each call'
    'dom0/core/manager-event.c|return event->class == DEVICE_CLASS_USB &&\n           source_port_is_stale(|return source_port_is_stale == NULL && source_port_is_stale(|an echo of a USB detach is believed'
)

n_found=0 n=0
for plant in "${plants[@]}"; do
    n=$((n + 1))
    IFS=$'\x1f' read -r file from to meaning \
        <<<"$(sed -e 's/\\|/\x1e/g' -e 's/|/\x1f/g' -e 's/\x1e/|/g' <<<"$plant")"
    from=${from//\\n/$'\n'} to=${to//\\n/$'\n'}
    cp "$file" "$tree/$file"
    if ! FROM=$from perl -0ne 'exit !/\Q$ENV{FROM}\E/' "$tree/$file"; then
        echo "not planted, $file has changed: $meaning"
        continue
    fi
    FROM=$from TO=$to perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/' "$tree/$file"
    if ! ninja -C "$tree/build" dom0/qubes-autoattachd \
        sysusb/qubes-autoattach-forwarder >"$tree/log" 2>&1; then
        echo "does not build: $meaning"
        cp "$file" "$tree/$file"
        continue
    fi
    AUTOATTACH_BUILD=$tree/build /usr/bin/python3 tests/live/live.py \
        "$histories" "$seed" --first >"$tree/log" 2>&1
    if ! grep -q '^first failure' "$tree/log"; then
        echo "NOT FOUND in $histories histories: $meaning"
    else
        n_found=$((n_found + 1))
        echo "$(grep '^first failure' "$tree/log"): $meaning"
        grep '^history' "$tree/log" | cut -c 1-160 | sed 's/^/    /'
    fi
    cp "$file" "$tree/$file"
done
echo "$n_found of $n found"
((n_found == n))
