/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/rate.h"
#include "common/sys/clock.h"
#include "common/sys/log.h"
#include "common/text.h"
#include "dom0/outcome-log.h"

/* documented in qubes-autoattachd(8) */
#define MESSAGE_ID_OUTCOME "5f0f3a3d6c0b4b1f9d7a2e8c41b6d9e2"

struct OutcomeLog {
    sd_event_source *rest_source;
    Rate acts;  /* what was attached or detached */
    Rate words; /* all else of outcomes */
    Rate hellos;
    uint64_t n_left_out;
    uint64_t last_serial; /* in the history, that was seen to */
};

/* They are told of together, a moment later. */
static void log_leave_out(OutcomeLog *log, uint64_t n)
{
    if (n > 0 && log->n_left_out == 0) {
        (void) sd_event_source_set_time_relative(log->rest_source,
                                                 OUTCOME_LOG_REST_USEC);
        (void) sd_event_source_set_enabled(log->rest_source, SD_EVENT_ONESHOT);
    }
    log->n_left_out += n;
}

static bool may_log(Rate *rate)
{
    static const RateLimit limit = { .interval_usec = OUTCOME_LOG_USEC,
                                     .burst = OUTCOME_LOG_BURST };

    return rate_take(rate, &limit, clock_monotonic_usec());
}

static bool log_may(OutcomeLog *log, Rate *rate)
{
    if (may_log(rate))
        return true;

    log_leave_out(log, 1);
    return false;
}

static int log_on_rest(sd_event_source *source, uint64_t usec, void *userdata)
{
    OutcomeLog *log = userdata;

    (void) source;
    (void) usec;

    log_message(LOG_WARNING, "%" PRIu64 " more outcomes were left out here",
                log->n_left_out);
    log->n_left_out = 0;
    return 0;
}

static int priority_of(Status status)
{
    if (status >= STATUS_INTERNAL)
        return LOG_WARNING;
    return status_is_success(status) ? LOG_NOTICE : LOG_INFO;
}

/* A device's or a source's own words: they end where the quotes do. */
static size_t quote(char *ret, size_t size, const char *text)
{
    size_t len = text_format(ret, size, " \"");

    for (; *text; text++)
        len += text_format(ret + len, size - len, "%s%c",
                           *text == '"' ? "\\" : "", *text);
    return len + text_format(ret + len, size - len, "\"");
}

static void describe(char *ret, size_t size, const HistoryEntry *entry)
{
    size_t len =
        text_format(ret, size, "%s:%s", entry->source.s, entry->device.s);

    if (entry->label.s[0])
        len += quote(ret + len, size - len, entry->label.s);
    len += text_format(ret + len, size - len, ": %i %s", (int) entry->status,
                       status_name(entry->status));
    if (entry->target[0])
        len += text_format(ret + len, size - len, ", target %s", entry->target);
    if (entry->rule.s[0])
        len += text_format(ret + len, size - len, ", rule %s", entry->rule.s);
    if (entry->detail[0])
        (void) text_format(ret + len, size - len, ": %s", entry->detail);
}

void outcome_log_entry(OutcomeLog *log, const HistoryEntry *entry)
{
    bool act =
        entry->status == STATUS_ATTACHED || entry->status == STATUS_DETACHED;
    char message[LOG_MESSAGE_MAX], code[8], duration[24];
    const LogField fields[] = {
        { "AUTOATTACH_SOURCE", entry->source.s },
        { "AUTOATTACH_DEVICE", entry->device.s },
        { "AUTOATTACH_CLASS", device_class_to_string(entry->class) },
        { "AUTOATTACH_RULE", entry->rule.s },
        { "AUTOATTACH_TARGET", entry->target },
        { "AUTOATTACH_CODE", code },
        { "AUTOATTACH_STATUS", status_name(entry->status) },
        { "AUTOATTACH_DURATION_USEC", duration },
    };

    if (!log_may(log, act ? &log->acts : &log->words))
        return;

    (void) text_format(code, sizeof(code), "%i", (int) entry->status);
    (void) text_format(duration, sizeof(duration), "%" PRIu64,
                       entry->duration_usec);
    describe(message, sizeof(message), entry);
    log_fields(priority_of(entry->status), MESSAGE_ID_OUTCOME, fields,
               ARRAY_SIZE(fields), message);
}

void outcome_log_history(OutcomeLog *log, const History *history)
{
    uint64_t last = history_last_serial(history);
    uint64_t n_dropped = history_dropped(history);

    if (log->last_serial < n_dropped) {
        log_leave_out(log, n_dropped - log->last_serial);
        log->last_serial = n_dropped;
    }
    while (log->last_serial < last)
        outcome_log_entry(log, history_find(history, ++log->last_serial));
}

bool outcome_log_is_behind(const OutcomeLog *log, const History *history)
{
    return history_last_serial(history) - log->last_serial >=
           HISTORY_CAPACITY / 2;
}

void outcome_log_refused(OutcomeLog *log,
                         const QubeName *source,
                         Status status,
                         const char *reason)
{
    if (log_may(log, &log->words))
        log_message(LOG_WARNING, "%s: connection closed: %i %s: %s", source->s,
                    (int) status, status_name(status), reason);
}

void outcome_log_hello(OutcomeLog *log,
                       const QubeName *source,
                       const char *untrusted_agent)
{
    char agent[RECORD_AGENT_MAX * TEXT_ESCAPE_FACTOR + 1];
    char quoted[2 * sizeof(agent)];

    if (!may_log(&log->hellos))
        return;

    text_escape(agent, sizeof(agent), untrusted_agent, strlen(untrusted_agent));
    (void) quote(quoted, sizeof(quoted), agent);
    log_message(LOG_INFO, "%s: hello from%s", source->s, quoted);
}

int outcome_log_new(OutcomeLog **ret, sd_event *event)
{
    _cleanup_(outcome_log_freep) OutcomeLog *log = calloc(1, sizeof(*log));
    int r;

    if (!log)
        return -ENOMEM;

    r = sd_event_add_time(event, &log->rest_source, CLOCK_MONOTONIC, 0, 0,
                          log_on_rest, log);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(log->rest_source, SD_EVENT_OFF);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(log);
    return 0;
}

OutcomeLog *outcome_log_free(OutcomeLog *log)
{
    if (!log)
        return NULL;

    sd_event_source_disable_unref(log->rest_source);
    free(log);
    return NULL;
}
