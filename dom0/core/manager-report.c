/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/manager-internal.h"

static void report_jobs(const Manager *m, Report *report, Instant now)
{
    for (const ManagedJob *managed = m->jobs; managed;
         managed = managed->next) {
        ReportJob *job = &report->jobs[report->n_jobs_shown];

        if (managed->dead)
            continue;
        report->n_jobs++;
        if (report->n_jobs_shown == REPORT_JOBS_MAX)
            continue;

        *job = (ReportJob){
            .source = managed->source->name,
            .class = managed->job.task.class,
            .device = managed->job.task.device,
            .state = job_state_to_string(managed->job.state),
            .age_usec = now.monotonic_usec - managed->begun_usec,
        };
        if (managed->rule)
            job->rule = managed->rule->name;
        (void) text_format(job->target, sizeof(job->target), "%s",
                           managed->job.target.s);
        report->n_jobs_shown++;
    }
}

/* Whether an attach job of the device has no outcome yet. */
static bool is_being_attached(const Device *device)
{
    return device->job && device->job->kind == JOB_KIND_ATTACH &&
           !device->job->told;
}

/* All but @rule: to match one takes time. */
static ReportDevice report_device(const Manager *m, const Device *device)
{
    ReportDevice report = {
        .source = device->source->name,
        .record = &device->record,
        .attached_to = device->attached_to,
        .state =
            device->job ? job_state_to_string(device->job->job.state) : NULL,
    };

    if (!device_is_attached(device) && !device->attachment_known)
        report.attached_to = device->found_at;
    if (device->holding == HOLDING_DEVICE) {
        report.attached_to = device->held_by;
        report.attached_by = device->held_rule;
    } else if (is_being_attached(device) &&
               qube_name_equal(&device->job->job.target,
                               &device->attached_to)) {
        /* qubesd's event came before its answer to the job's call */
        report.attached_by = device->job->rule->name;
    }
    if (device->outcome != 0) {
        report.status = device->status;
        report.status_usec = device->status_usec;
        report.outcome = history_find(m->history, device->outcome);
    }
    return report;
}

static bool device_is(const Device *device,
                      DeviceClass class,
                      const DeviceName *name)
{
    return device->record.class == class &&
           device_name_equal(&device->record.device, name);
}

bool manager_next_device(const Manager *m,
                         DeviceCursor *cursor,
                         ReportDevice *ret)
{
    for (; cursor->source < MANAGER_SOURCES_MAX; cursor->source++) {
        const Source *source = m->sources[cursor->source];
        const Device *device = source ? next_plug(source, cursor->plug) : NULL;

        if (device) {
            cursor->plug = device->plug;
            *ret = report_device(m, device);
            ret->rule =
                ruleset_match(m->ruleset, &source->name, &device->record);
            return true;
        }
        cursor->plug = 0;
    }
    return false;
}

/* Whether it is attached by the rule, or was found where the rule wants it. */
static bool report_is_by(const ReportDevice *report,
                         const Device *device,
                         const char *rule)
{
    return strcmp(report->attached_by.s, rule) == 0 ||
           (qube_name_equal(&device->attached_to, &device->met_at) &&
            strcmp(device->met_rule.s, rule) == 0);
}

bool manager_find_attached(const Manager *m,
                           const DeviceRef *ref,
                           const char *rule,
                           ReportDevice *ret)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        const Source *source = m->sources[i];
        const Device *device = source ? source->devices : NULL;

        if (ref && source && !qube_name_equal(&source->name, &ref->source))
            continue;
        for (; device; device = device->next) {
            if (!device->plugged || is_being_attached(device) ||
                !device_is_confirmed(device) ||
                (ref && !device_is(device, ref->class, &ref->device)))
                continue;
            *ret = report_device(m, device);
            if (ret->attached_to.s[0] &&
                (ref || report_is_by(ret, device, rule)))
                return true;
        }
    }
    return false;
}

size_t manager_count_rules(const Manager *m)
{
    return ruleset_count(m->ruleset);
}

ReportRule manager_get_rule(const Manager *m, size_t index)
{
    return (ReportRule){ .rule = ruleset_get(m->ruleset, index),
                         .n_hits = rule_hits_get(&m->hits, index) };
}

const Rule *manager_find_rule(const Manager *m, const char *name)
{
    return ruleset_find(m->ruleset, name);
}

static void report_attached(const Manager *m, Report *report)
{
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        const Source *source = m->sources[i];

        for (const Device *device = source ? source->devices : NULL; device;
             device = device->next) {
            const ReportDevice shown = report_device(m, device);

            if (!device->plugged || shown.attached_to.s[0] == '\0')
                continue;
            report->n_attached++;
            if (report->n_attached_shown < REPORT_DEVICES_MAX)
                report->attached[report->n_attached_shown++] = shown;
        }
    }
}

static void report_pause(const Manager *m, Report *report, Instant now)
{
    uint64_t until_usec = m->paused_until_usec;

    report->paused = until_usec != 0;
    if (until_usec == MANAGER_PAUSE_FOREVER)
        report->pause_usec = UINT64_MAX;
    else if (until_usec > now.boottime_usec)
        report->pause_usec = until_usec - now.boottime_usec;
}

static void report_lost_window(const Window *window,
                               Report *report,
                               Instant now)
{
    uint64_t until_usec = window->opened_usec + MANAGER_WINDOW_USEC;
    uint64_t usec =
        until_usec > now.monotonic_usec ? until_usec - now.monotonic_usec : 0;

    report->n_prompts_lost++;
    if (usec > report->prompts_lost_usec)
        report->prompts_lost_usec = usec;
}

static void report_prompts(const Manager *m, Report *report, Instant now)
{
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        if (m->desk.windows[i].lost)
            report_lost_window(&m->desk.windows[i], report, now);
        else
            report->n_prompts_open += m->desk.windows[i].id != 0;
    for (const ManagedJob *managed = m->jobs; managed; managed = managed->next)
        report->n_prompts_waiting +=
            !managed->dead && managed->job.state == JOB_AWAITING_PROMPT;
    report->no_agent = m->desk.no_agent && report->n_prompts_waiting > 0;
}

void manager_report(const Manager *m, Report *report, Instant now)
{
    size_t n_outcomes = history_count(m->history);
    size_t n_shown =
        n_outcomes < REPORT_OUTCOMES_MAX ? n_outcomes : REPORT_OUTCOMES_MAX;

    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        const Source *source = m->sources[i];

        if (!source)
            continue;
        report->sources[report->n_sources++] = (ReportSource){
            .name = source->name,
            .n_connections = source_count_connections(source),
            .has_picture = source_has_picture(source),
            .n_devices = source->n_devices,
            .is_full = source->n_devices >= SOURCE_DEVICES_MAX,
            .n_jobs = source->n_jobs,
            .quiet_usec = source->quiet_usec > now.monotonic_usec
                              ? source->quiet_usec - now.monotonic_usec
                              : 0,
            .prompt_problem = source->prompt_problem,
        };
    }
    report->refusals = &m->refusals;
    report->policy = m->policy;
    report->policy_usec = m->policy_usec;
    report_pause(m, report, now);
    report_attached(m, report);
    report_jobs(m, report, now);
    report_prompts(m, report, now);

    for (size_t i = 0; i < n_shown; i++)
        report->outcomes[i] = history_get(m->history, n_outcomes - n_shown + i);
    report->n_outcomes = n_shown;
    report->n_outcomes_total = history_last_serial(m->history);
}
