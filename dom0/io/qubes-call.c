/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "common/sys/exchange.h"
#include "dom0/io/qubes-call.h"
#include "dom0/wire/admin-qubes.h"
#include "dom0/wire/admin.h"

struct QubesCall {
    Exchange *exchange;
    QubesCallFn fn;
    void *userdata;
};

static void call_on_end(Exchange *exchange,
                        ExchangeEnd end,
                        int error,
                        const char *untrusted_data,
                        size_t untrusted_len,
                        void *userdata)
{
    _cleanup_(qube_list_freep) QubeList *qubes = NULL;
    QubesCall *call = userdata;

    (void) exchange;
    (void) error;

    if (end == EXCHANGE_COMPLETE)
        (void) admin_decode_qubes(&qubes, untrusted_data, untrusted_len);
    call->fn(call, qubes, call->userdata);
    /* @call may be gone from here on */
}

int qubes_call_new(QubesCall **ret,
                   sd_event *event,
                   const char *socket_path,
                   QubesCallFn fn,
                   void *userdata)
{
    static const AdminRequest request = { .method = ADMIN_LIST,
                                          .dest = { "dom0" } };
    static const ExchangeLimits limits = { .answer_max = ADMIN_ANSWER_MAX,
                                           .timeout_usec = ADMIN_LOOK_USEC };
    _cleanup_(qubes_call_freep) QubesCall *call = calloc(1, sizeof(*call));
    char text[ADMIN_REQUEST_MAX];
    size_t len = admin_encode(text, &request);
    int r;

    if (!call)
        return -ENOMEM;

    call->fn = fn;
    call->userdata = userdata;
    r = exchange_new(&call->exchange, event, socket_path, text, len, &limits,
                     call_on_end, call);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(call);
    return 0;
}

QubesCall *qubes_call_free(QubesCall *call)
{
    if (!call)
        return NULL;

    exchange_free(call->exchange);
    free(call);
    return NULL;
}
