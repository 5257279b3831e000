/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Exchange: one request to a local service, and its whole answer
 *
 * Connects, writes the request, shuts down its side, and reads until the end
 * of input, bounded, without blocking and with a deadline. That is how qubesd,
 * the policy daemon and the policy agent all want to be spoken to.
 */

#include <systemd/sd-event.h>

#include "common/util.h"

/* for a service whose queue of connections is full */
#define EXCHANGE_CONNECT_USEC UINT64_C(5000000)

typedef struct Exchange Exchange;

typedef enum ExchangeEnd {
    EXCHANGE_UNREACHABLE, /* @error says why; nothing was sent */
    EXCHANGE_TIMED_OUT,
    EXCHANGE_TOO_LONG,
    EXCHANGE_BROKEN,   /* without memory, or reading failed; @error */
    EXCHANGE_COMPLETE, /* the answer, which may be empty */
} ExchangeEnd;

/*
 * Called exactly once, never from within exchange_new(). The exchange is still
 * alive then and may be freed. @untrusted_data belongs to it, and is empty for
 * all but EXCHANGE_COMPLETE. @error is a negative errno or 0.
 */
typedef void (*ExchangeFn)(Exchange *exchange,
                           ExchangeEnd end,
                           int error,
                           const char *untrusted_data,
                           size_t untrusted_len,
                           void *userdata);

typedef struct ExchangeLimits {
    size_t answer_max;
    uint64_t timeout_usec; /* UINT64_MAX: none */
} ExchangeLimits;

/*
 * @socket_path is borrowed, @request is copied. Fails with -ENOMEM and what
 * sd-event says; a service that is not there is told by @fn.
 */
int exchange_new(Exchange **ret,
                 sd_event *event,
                 const char *socket_path,
                 const void *request,
                 size_t request_len,
                 const ExchangeLimits *limits,
                 ExchangeFn fn,
                 void *userdata);
/* If it has not ended yet, @fn is not called. The peer goes on with the
 * request. */
Exchange *exchange_free(Exchange *exchange);

DEFINE_CLEANUP(Exchange *, exchange_free)
