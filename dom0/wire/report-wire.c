/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "dom0/wire/device-wire.h"
#include "dom0/wire/report-wire.h"
#include "dom0/wire/values.h"

static const char *qubesd_state_name(QubesdState state)
{
    switch (state) {
    case QUBESD_GONE:
        return "gone";
    case QUBESD_UNSUPPORTED:
        return "unsupported";
    case QUBESD_CONNECTED:
        return "connected";
    }
    assert(false);
    return NULL;
}

static const char *level_name(DiagnosticLevel level)
{
    switch (level) {
    case DIAGNOSTIC_ERROR:
        return "error";
    case DIAGNOSTIC_WARNING:
        return "warning";
    }
    assert(false);
    return NULL;
}

/* json_pack() takes over every "o", and answers NULL if one of them is. */
static json_t *daemon_to_json(const Report *report)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o}", "version",
                     value_text(report->version), "pid",
                     value_number(report->pid), "uptime_usec",
                     value_number(report->uptime_usec), "memory_bytes",
                     value_number_or_null(report->memory_bytes), "unlimited",
                     report->unlimited, "state_problem",
                     value_text_or_null(report->state_problem));
}

static json_t *qubesd_to_json(const Report *report)
{
    return json_pack("{s:s, s:o}", "state", qubesd_state_name(report->qubesd),
                     "detail", value_text_or_null(report->qubesd_detail));
}

static const char *policy_state_name(const Report *report)
{
    if (report->policy_usec == 0)
        return "unasked";
    switch (report->policy) {
    case POLICY_NO:
    case POLICY_YES:
        return "answering";
    case POLICY_SILENT:
        return "silent";
    case POLICY_UNREACHABLE:
        return "unreachable";
    case POLICY_TIMED_OUT:
        return "timeout";
    }
    assert(false);
    return NULL;
}

static json_t *policy_to_json(const Report *report)
{
    return json_pack("{s:s, s:o}", "state", policy_state_name(report),
                     "asked_usec", value_number_or_null(report->policy_usec));
}

json_t *diagnostic_to_json(const Diagnostic *diagnostic)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "level",
                     level_name(diagnostic->level), "file",
                     value_text(diagnostic->file), "line",
                     value_number_or_null(diagnostic->line), "column",
                     value_number_or_null(diagnostic->column), "message",
                     value_text(diagnostic->message), "source_line",
                     value_text_or_null(diagnostic->source_line), "caret",
                     value_number_or_null(diagnostic->caret));
}

json_t *diagnostics_to_json(const Diagnostics *diagnostics)
{
    static const DiagnosticLevel levels[] = { DIAGNOSTIC_ERROR,
                                              DIAGNOSTIC_WARNING };
    size_t n = diagnostics ? diagnostics_count(diagnostics) : 0;
    json_t *list = json_array();

    for (size_t l = 0; l < ARRAY_SIZE(levels); l++)
        for (size_t i = 0; i < n; i++) {
            const Diagnostic *diagnostic = diagnostics_get(diagnostics, i);

            if (diagnostic->level != levels[l] ||
                json_array_size(list) == REPORT_WIRE_ERRORS_MAX)
                continue;
            if (json_array_append_new(list, diagnostic_to_json(diagnostic)) <
                0) {
                json_decref(list);
                return NULL;
            }
        }
    return list;
}

static uint64_t count_level(const Report *report, DiagnosticLevel level)
{
    return report->rules_diagnostics
               ? diagnostics_count_level(report->rules_diagnostics, level)
               : 0;
}

static json_t *named_sources_to_json(const Report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < report->n_named_sources; i++)
        if (json_array_append_new(
                list, json_string(report->named_sources[i].s)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

json_t *rules_status_to_json(const Report *report)
{
    return json_pack(
        "{s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "directory",
        value_text(report->rules_dir), "owner",
        value_number(report->rules_owner), "missing", report->rules_dir_missing,
        "n_rules", value_number(report->n_rules), "n_files",
        value_number(report->n_rule_files), "loaded_usec",
        value_number_or_null(report->rules_loaded_usec), "failed",
        report->rules_failed, "n_errors",
        value_number(count_level(report, DIAGNOSTIC_ERROR)), "n_warnings",
        value_number(count_level(report, DIAGNOSTIC_WARNING)), "errors",
        diagnostics_to_json(report->rules_diagnostics), "sources",
        named_sources_to_json(report));
}

static json_t *prompts_to_json(const Report *report)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b}", "n_open",
                     value_number(report->n_prompts_open), "n_waiting",
                     value_number(report->n_prompts_waiting), "n_lost",
                     value_number(report->n_prompts_lost), "lost_usec",
                     value_number_or_null(report->prompts_lost_usec),
                     "no_agent", report->no_agent, "agent_refused",
                     report->agent_refused);
}

static json_t *source_to_json(const ReportSource *source)
{
    return json_pack(
        "{s:s, s:o, s:b, s:o, s:b, s:o, s:o, s:o}", "name", source->name.s,
        "n_connections", value_number(source->n_connections), "forwarder",
        source->has_picture, "n_devices", value_number(source->n_devices),
        "full", source->is_full, "n_jobs", value_number(source->n_jobs),
        "quiet_usec", value_number_or_null(source->quiet_usec),
        "prompt_problem", value_text_or_null(source->prompt_problem));
}

static json_t *job_to_json(const ReportJob *job)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:o}", "source",
                     job->source.s, "class", device_class_to_string(job->class),
                     "device", job->device.s, "rule",
                     value_text_or_null(job->rule.s), "target",
                     value_text_or_null(job->target), "state", job->state,
                     "age_usec", value_number(job->age_usec));
}

json_t *outcome_to_json(const HistoryEntry *entry)
{
    return json_pack(
        "{s:o, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:i, s:s, s:s, s:o, s:o}",
        "serial", value_number(entry->serial), "time_usec",
        value_number(entry->when_usec), "duration_usec",
        value_number(entry->duration_usec), "source", entry->source.s, "class",
        device_class_to_string(entry->class), "device", entry->device.s, "rule",
        value_text_or_null(entry->rule.s), "target",
        value_text_or_null(entry->target), "code", (int) entry->status,
        "status", status_name(entry->status), "sentence",
        status_sentence(entry->status), "detail",
        value_text_or_null(entry->detail), "label",
        value_text_or_null(entry->label.s));
}

static json_t *sources_to_json(const Report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < report->n_sources; i++)
        if (json_array_append_new(list, source_to_json(&report->sources[i])) <
            0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *refusal_to_json(const Refusal *refusal)
{
    char agent[RECORD_AGENT_MAX * TEXT_ESCAPE_FACTOR + 1];

    text_escape(agent, sizeof(agent), refusal->agent, strlen(refusal->agent));
    return json_pack("{s:s, s:o, s:i, s:s, s:o}", "source", refusal->source.s,
                     "time_usec", value_number(refusal->when_usec), "code",
                     (int) refusal->status, "status",
                     status_name(refusal->status), "agent",
                     value_text_or_null(agent));
}

static json_t *refusals_to_json(const Report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; list && report->refusals && i < report->refusals->n; i++)
        if (json_array_append_new(
                list, refusal_to_json(&report->refusals->list[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *jobs_to_json(const Report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < report->n_jobs_shown; i++)
        if (json_array_append_new(list, job_to_json(&report->jobs[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *outcomes_to_json(const Report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < report->n_outcomes; i++)
        if (json_array_append_new(list, outcome_to_json(report->outcomes[i])) <
            0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *attached_list(const Report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < report->n_attached_shown; i++)
        if (json_array_append_new(list,
                                  attached_to_json(&report->attached[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *pause_to_json(const Report *report, uint64_t now_usec)
{
    if (!report->paused)
        return json_null();
    return json_pack("{s:o}", "until_usec",
                     report->pause_usec == UINT64_MAX
                         ? json_null()
                         : value_number(now_usec + report->pause_usec));
}

json_t *report_to_json(const Report *report, uint64_t now_usec)
{
    assert(report->n_sources <= REPORT_SOURCES_MAX);
    assert(report->n_attached_shown <= REPORT_DEVICES_MAX);
    assert(report->n_jobs_shown <= REPORT_JOBS_MAX);
    assert(report->n_outcomes <= REPORT_OUTCOMES_MAX);

    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o}",
        "now_usec", value_number(now_usec), "daemon", daemon_to_json(report),
        "qubesd", qubesd_to_json(report), "policy", policy_to_json(report),
        "rules", rules_status_to_json(report), "pause",
        pause_to_json(report, now_usec), "prompts", prompts_to_json(report),
        "sources", sources_to_json(report), "refused", refusals_to_json(report),
        "n_attached", value_number(report->n_attached), "attached",
        attached_list(report), "n_jobs", value_number(report->n_jobs), "jobs",
        jobs_to_json(report), "n_outcomes",
        value_number(report->n_outcomes_total), "outcomes",
        outcomes_to_json(report));
}
