/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/sys/exchange.h"
#include "common/text.h"
#include "dom0/io/admin-call.h"
#include "dom0/wire/admin.h"

#define OVERDUE_ACCURACY_USEC (10 * USEC_PER_MSEC)

struct AdminCall {
    Exchange *exchange;
    sd_event_source *overdue; /* NULL: the deadline ends the call */
    AdminRequest request;
    AdminCallFn fn;
    void *userdata;
};

static void unreachable(AdminAnswer *ret, int error)
{
    char detail[ADMIN_DETAIL_MAX + 1];

    (void) text_format(detail, sizeof(detail), "qubesd cannot be reached: %s",
                       strerror(-error));
    admin_fail(ret, ADMIN_UNREACHABLE, detail);
}

static void call_on_end(Exchange *exchange,
                        ExchangeEnd end,
                        int error,
                        const char *untrusted_data,
                        size_t untrusted_len,
                        void *userdata)
{
    AdminCall *call = userdata;
    AdminAnswer answer;

    (void) exchange;

    switch (end) {
    case EXCHANGE_UNREACHABLE:
        unreachable(&answer, error);
        break;
    case EXCHANGE_TIMED_OUT:
        admin_fail(&answer, ADMIN_TIMED_OUT, "qubesd did not answer in time");
        break;
    case EXCHANGE_TOO_LONG:
        admin_fail(&answer, ADMIN_GARBAGE, "qubesd's answer is too long");
        break;
    case EXCHANGE_BROKEN:
        admin_fail(&answer, ADMIN_GARBAGE, strerror(-error));
        break;
    case EXCHANGE_COMPLETE:
        admin_decode(&answer, &call->request, untrusted_data, untrusted_len);
        break;
    }
    call->fn(call, &answer, call->userdata);
    /* @call may be gone from here on */
}

static int call_on_overdue(sd_event_source *source,
                           uint64_t usec,
                           void *userdata)
{
    AdminCall *call = userdata;
    AdminAnswer answer;

    (void) source;
    (void) usec;

    admin_fail(&answer, ADMIN_TIMED_OUT, "qubesd did not answer in time");
    answer.pending = true;
    call->fn(call, &answer, call->userdata);
    /* @call may be gone from here on */
    return 0;
}

/* qubesd goes on even if we hang up. Until a USB attach has ended no other may
 * be made into that target, and what disposable was made only the answer tells:
 * so the end of these has to be waited for. */
static bool outlives_deadline(const AdminRequest *request)
{
    return request->method == ADMIN_CREATE_DISPOSABLE ||
           (request->method == ADMIN_ATTACH &&
            request->class == DEVICE_CLASS_USB);
}

int admin_call_new(AdminCall **ret,
                   sd_event *event,
                   const char *socket_path,
                   const AdminRequest *request,
                   AdminCallFn fn,
                   void *userdata)
{
    uint64_t timeout_usec = admin_deadline_usec(request->method);
    bool outlives = outlives_deadline(request);
    const ExchangeLimits limits = {
        .answer_max = ADMIN_ANSWER_MAX,
        .timeout_usec = outlives ? UINT64_MAX : timeout_usec,
    };
    _cleanup_(admin_call_freep) AdminCall *call = NULL;
    char text[ADMIN_REQUEST_MAX];
    size_t len = admin_encode(text, request);
    int r;

    call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;

    call->request = *request;
    call->fn = fn;
    call->userdata = userdata;
    if (outlives) {
        r = sd_event_add_time_relative(event, &call->overdue, CLOCK_MONOTONIC,
                                       timeout_usec, OVERDUE_ACCURACY_USEC,
                                       call_on_overdue, call);
        if (r < 0)
            return r;
    }
    r = exchange_new(&call->exchange, event, socket_path, text, len, &limits,
                     call_on_end, call);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(call);
    return 0;
}

AdminCall *admin_call_free(AdminCall *call)
{
    if (!call)
        return NULL;

    sd_event_source_disable_unref(call->overdue);
    exchange_free(call->exchange);
    free(call);
    return NULL;
}
