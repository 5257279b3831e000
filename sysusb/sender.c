/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/text.h"
#include "common/wire/record-wire.h"
#include "sysusb/core/snapshot.h"
#include "sysusb/hello.h"
#include "sysusb/io/qrexec-call.h"
#include "sysusb/io/udev-find.h"
#include "sysusb/sender.h"

/* shown of a name that a person gave */
#define SHOWN_MAX 128U

typedef struct SentDevice {
    DeviceName name;
    bool answered;
} SentDevice;

typedef struct Sender {
    const SendOptions *options;
    sd_event *event;
    QrexecCall *call;
    int exit_status;
    bool over; /* nothing is to be told any more */

    size_t n_answered;
    size_t n_sent;
    SentDevice *sent; /* by seq, from 1 */
} Sender;

static void sender_clear(Sender *sender)
{
    sender->call = qrexec_call_free(sender->call);
    sd_event_unref(sender->event);
    free(sender->sent);
}

static void sender_raise(Sender *sender, Status status)
{
    int exit_status = status_exit(status);

    if (exit_status > sender->exit_status)
        sender->exit_status = exit_status;
}

/* Tell what became of the whole call, and that nothing more will. */
static void sender_fail(Sender *sender, Status status, const char *why)
{
    if (sender->over)
        return;
    sender->over = true;
    (void) fprintf(stderr, "qubes-autoattach-send: %s\n", why);
    sender_raise(sender, status);
}

static void sender_refuse(Sender *sender, const char *name, const char *why)
{
    char shown[SHOWN_MAX];

    (void) fprintf(stderr, "%s: %s\n",
                   text_escape(shown, sizeof(shown), name, strlen(name)), why);
    sender_raise(sender, STATUS_NO_SUCH_DEVICE);
}

/* Look the device up; answers 1 if it can be sent, 0 if that was told. */
static int sender_look(Sender *sender, const char *name, Record *ret)
{
    UdevLook look;
    int r = udev_find(&look, name, sender->options->export_qemu);

    if (r == -ENODEV) {
        sender_refuse(sender, name, "there is no such device");
        return 0;
    }
    if (r == -ENOTBLK) {
        sender_refuse(sender, name, "that is no block device");
        return 0;
    }
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        sender_refuse(sender, name, strerror(-r));
        return 0;
    }
    if (export_presence(look.export) != PRESENCE_OFFERED) {
        char why[SHOWN_MAX];

        (void) text_format(why, sizeof(why), "%s: %s",
                           export_is_refused(look.export)
                               ? "it is not reported"
                               : "Qubes does not export it",
                           export_reason(look.export));
        sender_refuse(sender, name, why);
        return 0;
    }

    *ret = look.record;
    ret->action = RECORD_ADD;
    return 1;
}

static void sender_on_line(QrexecCall *call,
                           const char *line,
                           size_t len,
                           void *userdata)
{
    Sender *sender = userdata;
    SentDevice *device;
    WireAnswer answer;

    if (sender->over)
        return;
    if (!wire_decode_answer(&answer, line, len) ||
        answer.seq > (int64_t) sender->n_sent ||
        (answer.seq > 0 && sender->sent[answer.seq - 1].answered)) {
        sender_fail(sender, STATUS_UNAVAILABLE, "dom0 sent what is no answer");
        qrexec_call_close(call, NULL);
        return;
    }
    if (answer.seq == 0) {
        sender_fail(sender, answer.status, status_sentence(answer.status));
        return;
    }

    device = &sender->sent[answer.seq - 1];
    device->answered = true;
    sender->n_answered++;
    (void) printf("%s: %i %s\n", device->name.s, (int) answer.status,
                  status_name(answer.status));
    (void) fflush(stdout);
    sender_raise(sender, answer.status);
}

static void sender_on_end(QrexecCall *call,
                          const QrexecEnd *end,
                          void *userdata)
{
    Sender *sender = userdata;
    char why[SHOWN_MAX];

    (void) call;

    if (sender->n_answered < sender->n_sent) {
        if (end->exited && end->status == QREXEC_EXIT_REFUSED)
            (void) text_format(why, sizeof(why),
                               "the policy of dom0 does not let this qube "
                               "report devices");
        else if (end->exited && end->status == 0)
            (void) text_format(why, sizeof(why),
                               "dom0 ended the call without an answer");
        else
            (void) text_format(why, sizeof(why),
                               "the call to dom0 failed (%s %i)",
                               end->exited ? "status" : "signal", end->status);
        sender_fail(sender, STATUS_UNAVAILABLE, why);
    }
    (void) sd_event_exit(sender->event, 0);
}

static int sender_on_timeout(sd_event_source *source,
                             uint64_t usec,
                             void *userdata)
{
    Sender *sender = userdata;

    (void) source;
    (void) usec;

    sender_fail(sender, STATUS_TIMEOUT, "dom0 did not answer in time");
    qrexec_call_close(sender->call, NULL);
    return 0;
}

static int sender_write(Sender *sender, int r, char *line_arg, size_t len)
{
    _cleanup_(freep) char *line = line_arg;

    return r < 0 ? r : qrexec_call_write(sender->call, line, len);
}

static int sender_call(Sender *sender)
{
    static const QrexecCallOps ops = {
        .on_line = sender_on_line,
        .on_end = sender_on_end,
    };
    WireHello hello;
    char *line = NULL;
    size_t len = 0;
    int r;

    r = hello_make(&hello);
    if (r < 0)
        return r;
    r = qrexec_call_new(&sender->call, sender->event,
                        sender->options->qrexec_client, EVENT_SERVICE,
                        (SNAPSHOT_MAX + 1) * (size_t) (WIRE_LINE_MAX + 1), &ops,
                        sender);
    if (r < 0) {
        char why[SHOWN_MAX];

        (void) text_format(why, sizeof(why), "cannot run %s: %s",
                           sender->options->qrexec_client, strerror(-r));
        sender_fail(sender, STATUS_UNAVAILABLE, why);
        return 0;
    }
    r = wire_encode_hello(&line, &len, &hello);
    return sender_write(sender, r, line, len);
}

static int sender_send(Sender *sender, const Record *record)
{
    SentDevice *device = &sender->sent[sender->n_sent++];
    char *line = NULL;
    size_t len = 0;
    int r;

    device->name = record->device;
    r = wire_encode_event(&line, &len, (int64_t) sender->n_sent, record);
    return sender_write(sender, r, line, len);
}

/* Everything is queued: end of input, and wait for the answers. */
static int sender_wait(Sender *sender)
{
    uint64_t timeout_usec = sender->options->timeout_usec;
    int r;

    qrexec_call_finish(sender->call);
    if (timeout_usec > 0) {
        r = sd_event_add_time_relative(sender->event, NULL, CLOCK_MONOTONIC,
                                       timeout_usec, 0, sender_on_timeout,
                                       sender);
        if (r < 0)
            return r;
    }
    return sd_event_loop(sender->event);
}

int sender_run(sd_event *event, const SendOptions *options)
{
    _cleanup_(sender_clear) Sender sender = {
        .options = options,
        .event = sd_event_ref(event),
    };
    int r;

    sender.sent = calloc(options->n_devices, sizeof(*sender.sent));
    if (!sender.sent)
        return -ENOMEM;

    for (size_t i = 0; i < options->n_devices; i++) {
        Record record;

        r = sender_look(&sender, options->devices[i], &record);
        if (r < 0)
            return r;
        if (r == 0)
            continue;
        if (!sender.call) {
            r = sender_call(&sender);
            if (r < 0)
                return r;
            if (!sender.call)
                return sender.exit_status;
        }
        r = sender_send(&sender, &record);
        if (r < 0)
            return r;
    }

    if (sender.call) {
        r = sender_wait(&sender);
        if (r < 0)
            return r;
    }
    return sender.exit_status;
}
