/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * qrexec call: one child that carries a stream to dom0 and its answers back
 *
 *     OPEN --finish--> FINISHING --.
 *       |  \                       |  their end, broken pipe, long line
 *       |   '------ close ---------+--------> CLOSING --child is gone--> ended
 *       '---------- child is gone -------------------------------------> ended
 *
 * Runs `CLIENT dom0 SERVICE` without a shell; the child has nothing of ours but
 * its standard input, output and error. What is written is queued, up to a
 * limit, and written when the child takes it. In CLOSING the child's input is
 * closed at once; a child that does not end is sent SIGTERM, then SIGKILL.
 */

#include <systemd/sd-event.h>

#include "common/util.h"

/* qrexec-client-vm's exit status for a call that policy refuses (WIRE 2) */
#define QREXEC_EXIT_REFUSED 126

/* what a child whose input is closed may take to end, and then after SIGTERM */
#define QREXEC_GRACE_USEC      UINT64_C(2000000)
#define QREXEC_TERM_GRACE_USEC UINT64_C(2000000)

typedef struct QrexecCall QrexecCall;

typedef struct QrexecEnd {
    bool exited; /* else killed by a signal */
    int status;  /* exit status or signal */
    uint64_t lived_usec;
    const char *reason; /* why we ended it; NULL if we did not */
} QrexecEnd;

typedef struct QrexecCallOps {
    /* One line of dom0's, without its newline. The call must not be freed. */
    void (*on_line)(QrexecCall *call,
                    const char *line,
                    size_t len,
                    void *userdata);
    /* The child is gone. Called once; the call may be freed. */
    void (*on_end)(QrexecCall *call, const QrexecEnd *end, void *userdata);
} QrexecCallOps;

/* SIGCHLD must be blocked and SIGPIPE ignored. @ops outlives the call. */
int qrexec_call_new(QrexecCall **ret,
                    sd_event *event,
                    const char *client,
                    const char *service,
                    size_t queue_max,
                    const QrexecCallOps *ops,
                    void *userdata);
/* A child that still runs is killed. */
QrexecCall *qrexec_call_free(QrexecCall *call);

/*
 * Queue @data. -ENOBUFS, and nothing is queued, if more than the limit would
 * wait to be written; -EPIPE if nothing can be written any more.
 */
int qrexec_call_write(QrexecCall *call, const char *data, size_t len);

/* Nothing more will be written: end of input once the queue is empty. Answers
 * are still read. */
void qrexec_call_finish(QrexecCall *call);

/* Give it up. @reason is a constant; the first one counts. */
void qrexec_call_close(QrexecCall *call, const char *reason);

DEFINE_CLEANUP(QrexecCall *, qrexec_call_free)
