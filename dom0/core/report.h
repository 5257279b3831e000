/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Report: the state of the daemon, as `status` shows it
 *
 * A plain value that lives for one query: filled by the daemon, encoded by
 * control. All pointers are borrowed from the daemon.
 */

#include "dom0/core/approval.h"
#include "dom0/core/diagnostic.h"
#include "dom0/core/history.h"
#include "dom0/core/refusals.h"
#include "dom0/core/rule.h"

#define REPORT_SOURCES_MAX  16U
#define REPORT_JOBS_MAX     64U /* shown; all are counted */
#define REPORT_OUTCOMES_MAX 16U /* shown, newest last */
#define REPORT_DEVICES_MAX  64U /* attached ones that are shown */
#define REPORT_NAMED_MAX    16U /* sources in rules that are shown */

/* Whether qubesd can be worked with. */
typedef enum QubesdState {
    QUBESD_GONE,        /* not there, or it does not answer */
    QUBESD_UNSUPPORTED, /* of a release before R4.3 */
    QUBESD_CONNECTED,
} QubesdState;

typedef struct ReportSource {
    QubeName name;
    unsigned int n_connections;
    bool has_picture; /* a forwarder is connected and has sent it */
    size_t n_devices;
    bool is_full; /* no further device is taken */
    size_t n_jobs;
    uint64_t quiet_usec; /* how long yet its prompts are silenced; or 0 */
    const char *prompt_problem; /* why nobody can be asked; NULL or "": none */
} ReportSource;

typedef struct ReportJob {
    QubeName source;
    DeviceClass class;
    DeviceName device;
    RuleName rule;
    char target[TARGET_STRING_MAX + 1];
    const char *state; /* as "checking" */
    uint64_t age_usec;
} ReportJob;

/* A device that is plugged in. */
typedef struct ReportDevice {
    QubeName source;
    const Record *record;
    QubeName attached_to;        /* "" if nobody is known to have it */
    RuleName attached_by;        /* the rule; "" if by hand, or not known */
    const Rule *rule;            /* that takes it by the rules in force; NULL */
    const char *state;           /* of its job, as "checking"; NULL */
    Status status;               /* of the last outcome; STATUS_INVALID */
    uint64_t status_usec;        /* CLOCK_REALTIME */
    const HistoryEntry *outcome; /* NULL if it is not kept any more */
} ReportDevice;

/* A rule in force. */
typedef struct ReportRule {
    const Rule *rule;
    uint64_t n_hits;
} ReportRule;

typedef struct Report {
    const char *version;
    uint64_t pid;
    uint64_t uptime_usec;
    uint64_t memory_bytes;     /* resident; 0 if not known */
    bool unlimited;            /* --unlimited: all rates are off */
    const char *state_problem; /* for a person; "" if there is none */

    QubesdState qubesd;
    const char *qubesd_detail; /* for a person; "" if there is none */

    PolicyAnswer policy;  /* to the last question to the policy daemon */
    uint64_t policy_usec; /* CLOCK_REALTIME of that; 0: none was asked */

    const char *rules_dir;
    uint64_t rules_owner; /* uid: the user beside root whose files are taken */
    bool rules_dir_missing;
    size_t n_rules;
    size_t n_rule_files;
    uint64_t rules_loaded_usec; /* CLOCK_REALTIME of the rules in force */
    bool rules_failed; /* the newest reload was refused, old rules stay */
    const Diagnostics *rules_diagnostics; /* of the newest reload; or NULL */
    QubeName named_sources[REPORT_NAMED_MAX]; /* in the rules in force */
    size_t n_named_sources;

    bool paused;
    uint64_t pause_usec; /* how long yet; UINT64_MAX: until it is resumed */

    size_t n_prompts_open;
    size_t n_prompts_waiting;
    size_t n_prompts_lost; /* opened by an earlier run: no answer will come */
    uint64_t prompts_lost_usec; /* how long yet these keep others away */
    bool no_agent;              /* nobody is there to show them */
    bool agent_refused; /* its socket is there, but may not be used by us */

    ReportSource sources[REPORT_SOURCES_MAX];
    size_t n_sources;
    const Refusals *refusals; /* or NULL */
    ReportDevice attached[REPORT_DEVICES_MAX];
    size_t n_attached_shown;
    size_t n_attached;
    ReportJob jobs[REPORT_JOBS_MAX];
    size_t n_jobs_shown;
    size_t n_jobs;
    const HistoryEntry *outcomes[REPORT_OUTCOMES_MAX]; /* newest last */
    size_t n_outcomes;
    uint64_t n_outcomes_total;
} Report;
