/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "common/sys/exchange.h"
#include "dom0/io/policy-call.h"
#include "dom0/wire/policy.h"

struct PolicyCall {
    Exchange *exchange;
    PolicyCallFn fn;
    void *userdata;
};

static void call_on_end(Exchange *exchange,
                        ExchangeEnd end,
                        int error,
                        const char *untrusted_data,
                        size_t untrusted_len,
                        void *userdata)
{
    PolicyCall *call = userdata;
    PolicyAnswer answer = POLICY_SILENT;

    (void) exchange;
    (void) error;

    switch (end) {
    case EXCHANGE_UNREACHABLE:
        answer = POLICY_UNREACHABLE;
        break;
    case EXCHANGE_TIMED_OUT:
        answer = POLICY_TIMED_OUT;
        break;
    case EXCHANGE_TOO_LONG:
    case EXCHANGE_BROKEN:
        break;
    case EXCHANGE_COMPLETE:
        answer = policy_decode(untrusted_data, untrusted_len);
        break;
    }
    call->fn(call, answer, call->userdata);
    /* @call may be gone from here on */
}

int policy_call_new(PolicyCall **ret,
                    sd_event *event,
                    const char *socket_path,
                    const PolicyQuestion *question,
                    PolicyCallFn fn,
                    void *userdata)
{
    static const ExchangeLimits limits = { .answer_max = POLICY_ANSWER_MAX,
                                           .timeout_usec = POLICY_USEC };
    _cleanup_(policy_call_freep) PolicyCall *call = NULL;
    char request[POLICY_REQUEST_MAX];
    size_t len = policy_encode(request, question);
    int r;

    call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;

    call->fn = fn;
    call->userdata = userdata;
    r = exchange_new(&call->exchange, event, socket_path, request, len, &limits,
                     call_on_end, call);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(call);
    return 0;
}

PolicyCall *policy_call_free(PolicyCall *call)
{
    if (!call)
        return NULL;

    exchange_free(call->exchange);
    free(call);
    return NULL;
}
