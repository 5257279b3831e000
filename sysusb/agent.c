/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "common/rate.h"
#include "common/sys/log.h"
#include "common/text.h"
#include "sysusb/agent.h"
#include "sysusb/core/backoff.h"
#include "sysusb/core/refused.h"
#include "sysusb/core/sent.h"
#include "sysusb/core/snapshot.h"
#include "sysusb/hello.h"
#include "sysusb/io/qrexec-call.h"
#include "sysusb/io/udev-source.h"

struct Agent {
    AgentConfig config;
    WireHello hello;
    bool stopping;
    bool full_logged;

    sd_event *event;
    sd_event_source *retry_source;
    UdevSource *udev;
    QrexecCall *call; /* NULL while waiting */

    Snapshot *snapshot;
    Refused refused;
    Backoff backoff;
    bool answered; /* in this call */
    Sent sent;
};

static void agent_call(Agent *agent);

static int agent_write(Agent *agent, const char *line, size_t len)
{
    int r = qrexec_call_write(agent->call, line, len);

    if (r == -ENOBUFS)
        qrexec_call_close(agent->call, "dom0 does not read");
    else if (r < 0 && r != -EPIPE)
        qrexec_call_close(agent->call, "out of memory");
    return r;
}

/* Write the line that an encoder has made, and free it; @r is what the encoder
 * answered. */
static int agent_write_encoded(Agent *agent, int r, char *line_arg, size_t len)
{
    _cleanup_(freep) char *line = line_arg;

    if (r < 0) {
        qrexec_call_close(agent->call, "out of memory");
        return r;
    }
    return agent_write(agent, line, len);
}

/* Send a record, if there is a call; else it is part of the next picture. */
static int agent_send(Agent *agent, const Record *record)
{
    char *line = NULL;
    size_t len = 0;
    int r;

    if (!agent->call)
        return 0;
    r = wire_encode_event(&line, &len, sent_next(&agent->sent, &record->device),
                          record);
    if (r == -EMSGSIZE) {
        log_message(LOG_WARNING, "%s: its record is too long to be sent",
                    record->device.s);
        return 0;
    }
    return agent_write_encoded(agent, r, line, len);
}

static int agent_send_picture(Agent *agent)
{
    size_t len = 0, n = snapshot_count(agent->snapshot);
    char *line = NULL;
    int r;

    r = wire_encode_hello(&line, &len, &agent->hello);
    r = agent_write_encoded(agent, r, line, len);
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = agent_send(agent, snapshot_get(agent->snapshot, i));
    if (r < 0)
        return r;

    line = NULL;
    r = wire_encode_synced(&line, &len);
    return agent_write_encoded(agent, r, line, len);
}

/* What systemd shows until dom0 has answered. */
static void agent_tell_calling(size_t n_records)
{
    (void) sd_notify(false, n_records > 0
                                ? "STATUS=Calling dom0"
                                : "STATUS=In a call to dom0, with nothing to "
                                  "report");
}

/* Logged once, until there is room again. */
static void agent_log_full(Agent *agent)
{
    if (agent->full_logged)
        return;
    agent->full_logged = true;
    log_message(LOG_WARNING,
                "More than %u devices: what comes now is left out until "
                "others are unplugged",
                SNAPSHOT_MAX);
}

static void agent_tell(Agent *agent, const Record *record)
{
    log_message(LOG_INFO, "%s: %s", record->device.s,
                record_action_to_string(record->action));
    if (agent->call && agent->sent.last_seq == 0)
        agent_tell_calling(1);
    (void) agent_send(agent, record);
}

/*
 * A USB device goes, and dom0 takes its parts for gone, too. But a part that
 * was seen already may be one of the next device at the same port, whose events
 * are still to be read: so enumerate anew.
 */
static void agent_drop_parts(Agent *agent, const UdevLook *look)
{
    bool dropped = false;
    Record part;
    int r;

    while (snapshot_drop_part(agent->snapshot, &part, &look->record)) {
        agent_tell(agent, &part);
        dropped = true;
    }
    r = dropped ? udev_source_enumerate_soon(agent->udev) : 0;
    if (r < 0)
        log_message(LOG_ERR, "Cannot look for devices anew: %s", strerror(-r));
}

static void agent_log_refused(Agent *agent, const UdevLook *look)
{
    if (!export_is_refused(look->export))
        refused_forget(&agent->refused, &look->record);
    else if (refused_note(&agent->refused, &look->record))
        log_message(LOG_WARNING, "%s: it is not reported: %s",
                    look->record.device.s, export_reason(look->export));
}

static void agent_on_look(const UdevLook *look, void *userdata)
{
    Agent *agent = userdata;
    Presence presence = export_presence(look->export);
    Record record;
    int r;

    agent_log_refused(agent, look);
    if (presence == PRESENCE_NONE)
        agent_drop_parts(agent, look);
    r = snapshot_note(agent->snapshot, &record, &look->record, presence);
    if (r == -ENOSPC) {
        agent_log_full(agent);
        return;
    }
    if (r < 0) {
        /* a device that is left out for want of memory would never be
         * reported */
        log_message(LOG_ERR, "Cannot keep %s: %s", look->record.device.s,
                    strerror(-r));
        (void) sd_event_exit(agent->event, r);
        return;
    }
    if (r == 0)
        return;

    agent_tell(agent, &record);

    /* there is room now for a device that was left out */
    if (record.action == RECORD_REMOVE &&
        snapshot_left_out(agent->snapshot) > 0) {
        r = udev_source_enumerate_soon(agent->udev);
        if (r < 0)
            log_message(LOG_ERR, "Cannot look for devices left out: %s",
                        strerror(-r));
    }
}

static void agent_on_enumerate_begin(void *userdata)
{
    Agent *agent = userdata;

    snapshot_sweep_begin(agent->snapshot);
    refused_sweep_begin(&agent->refused);
}

static void agent_on_enumerate_end(void *userdata)
{
    Agent *agent = userdata;
    size_t n_left_out = snapshot_left_out(agent->snapshot);
    Record gone;

    while (snapshot_sweep_next(agent->snapshot, &gone))
        agent_tell(agent, &gone);
    refused_sweep_end(&agent->refused);
    agent->full_logged = n_left_out > 0;
    if (n_left_out > 0)
        log_message(LOG_WARNING, "%zu devices over %u are left out", n_left_out,
                    SNAPSHOT_MAX);
}

static void agent_log_answer(const Agent *agent, const WireAnswer *answer)
{
    const DeviceName *device = sent_device(&agent->sent, answer->seq);
    const char *name = status_name(answer->status);

    if (device)
        log_message(LOG_INFO, "%s: %i %s", device->s, (int) answer->status,
                    name);
    else if (answer->seq > 0)
        log_message(LOG_INFO, "event %" PRIi64 ": %i %s", answer->seq,
                    (int) answer->status, name);
    else
        log_message(LOG_WARNING, "dom0: %i %s", (int) answer->status, name);
}

static void agent_on_line(QrexecCall *call,
                          const char *line,
                          size_t len,
                          void *userdata)
{
    Agent *agent = userdata;
    WireAnswer answer;

    if (!wire_decode_answer(&answer, line, len) ||
        answer.seq > agent->sent.last_seq) {
        qrexec_call_close(call, "dom0 sent what is no answer");
        return;
    }
    agent_log_answer(agent, &answer);
    if (!agent->answered) {
        agent->answered = true;
        (void) sd_notify(false, "STATUS=Reporting to dom0");
    }
    if (answer.status == STATUS_TOO_MANY)
        qrexec_call_close(call, "dom0 has too many events of this qube");
}

static void describe_end(char *ret, size_t size, const QrexecEnd *end)
{
    if (end->reason)
        (void) text_format(ret, size, "%s", end->reason);
    else if (!end->exited)
        (void) text_format(ret, size,
                           "qrexec-client-vm was killed by signal "
                           "%i",
                           end->status);
    else if (end->status == QREXEC_EXIT_REFUSED)
        (void) text_format(ret, size, "refused by the policy of dom0");
    else if (end->status != 0)
        (void) text_format(ret, size, "qrexec-client-vm ended with status %i",
                           end->status);
    else
        (void) text_format(ret, size, "dom0 ended the call");
}

static int agent_on_retry(sd_event_source *source,
                          uint64_t usec,
                          void *userdata)
{
    Agent *agent = userdata;

    (void) source;
    (void) usec;

    agent->retry_source = sd_event_source_disable_unref(agent->retry_source);
    agent_call(agent);
    return 0;
}

/* Wait for the next call. @why is what became of the last one. */
static void agent_wait(Agent *agent,
                       const char *why,
                       uint64_t lived_usec,
                       bool refused)
{
    uint64_t chance = 0, wait_usec;
    int r;

    /* without a random number all forwarders wait the same time */
    (void) !getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
    wait_usec = backoff_next(&agent->backoff, lived_usec, refused, chance);

    log_message(LOG_WARNING, "No connection to dom0: %s; next try in %.1f s",
                why, (double) wait_usec / (double) USEC_PER_SEC);
    (void) sd_notifyf(false,
                      "STATUS=No connection to dom0: %s; next try in %.1f s",
                      why, (double) wait_usec / (double) USEC_PER_SEC);

    /* an accuracy of 0.1 s is good enough, and spares wake-ups */
    r = sd_event_add_time_relative(agent->event, &agent->retry_source,
                                   CLOCK_MONOTONIC, wait_usec,
                                   USEC_PER_SEC / 10, agent_on_retry, agent);
    if (r < 0)
        (void) sd_event_exit(agent->event, r);
}

static void agent_on_end(QrexecCall *call, const QrexecEnd *end, void *userdata)
{
    Agent *agent = userdata;
    char why[128];

    assert(call == agent->call);

    agent->call = qrexec_call_free(call);
    if (agent->stopping) {
        (void) sd_event_exit(agent->event, 0);
        return;
    }
    describe_end(why, sizeof(why), end);
    agent_wait(agent, why, end->lived_usec,
               !end->reason && end->exited &&
                   end->status == QREXEC_EXIT_REFUSED);
}

static void agent_call(Agent *agent)
{
    static const QrexecCallOps ops = {
        .on_line = agent_on_line,
        .on_end = agent_on_end,
    };
    int r;

    assert(!agent->call);

    sent_reset(&agent->sent);
    agent->answered = false;
    r = qrexec_call_new(&agent->call, agent->event, agent->config.qrexec_client,
                        EVENT_SERVICE, agent->config.queue_max, &ops, agent);
    if (r < 0) {
        char why[128];

        (void) text_format(why, sizeof(why), "cannot run %s: %s",
                           agent->config.qrexec_client, strerror(-r));
        agent_wait(agent, why, 0, false);
        return;
    }

    agent_tell_calling(snapshot_count(agent->snapshot));
    (void) agent_send_picture(agent);
}

void agent_stop(Agent *agent)
{
    if (agent->stopping)
        return;

    agent->stopping = true;
    (void) sd_notify(false, "STOPPING=1\nSTATUS=Ending");
    agent->retry_source = sd_event_source_disable_unref(agent->retry_source);
    if (agent->call)
        qrexec_call_close(agent->call, "the forwarder ends");
    else
        (void) sd_event_exit(agent->event, 0);
}

static int agent_start(Agent *agent)
{
    static const UdevSourceOps ops = {
        .on_look = agent_on_look,
        .on_enumerate_begin = agent_on_enumerate_begin,
        .on_enumerate_end = agent_on_enumerate_end,
    };
    int r;

    r = hello_make(&agent->hello);
    if (r < 0)
        return r;
    r = snapshot_new(&agent->snapshot);
    if (r < 0)
        return r;
    r = udev_source_new(&agent->udev, agent->event, agent->config.export_qemu,
                        &ops, agent);
    if (r < 0)
        return r;
    r = udev_source_enumerate(agent->udev);
    if (r < 0)
        return r;

    (void) sd_notify(false, "READY=1");
    agent_call(agent);
    return 0;
}

int agent_new(Agent **ret, sd_event *event, const AgentConfig *config)
{
    _cleanup_(agent_freep) Agent *agent = NULL;
    int r;

    agent = calloc(1, sizeof(*agent));
    if (!agent)
        return -ENOMEM;
    agent->config = *config;
    agent->event = sd_event_ref(event);

    r = agent_start(agent);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(agent);
    return 0;
}

Agent *agent_free(Agent *agent)
{
    if (!agent)
        return NULL;

    sd_event_source_disable_unref(agent->retry_source);
    qrexec_call_free(agent->call);
    udev_source_free(agent->udev);
    snapshot_free(agent->snapshot);
    sd_event_unref(agent->event);
    free(agent);
    return NULL;
}
