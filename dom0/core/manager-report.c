/* SPDX-License-Identifier: GPL-2.0-or-later */

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

static void report_prompts(const Manager *m, Report *report)
{
    for (size_t i = 0; i < WINDOWS_MAX; i++)
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
            .n_jobs = source->n_jobs,
            .quiet_usec = source->quiet_usec > now.monotonic_usec
                              ? source->quiet_usec - now.monotonic_usec
                              : 0,
        };
    }
    report_jobs(m, report, now);
    report_prompts(m, report);

    for (size_t i = 0; i < n_shown; i++)
        report->outcomes[i] = history_get(m->history, n_outcomes - n_shown + i);
    report->n_outcomes = n_shown;
    report->n_outcomes_total = history_last_serial(m->history);
}
