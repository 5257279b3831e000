/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "common/sys/exchange.h"
#include "dom0/io/prompt-call.h"
#include "dom0/wire/prompt.h"

struct PromptCall {
    Exchange *exchange;
    bool is_prompt;
    Prompt prompt; /* what was offered */
    PromptCallFn fn;
    void *userdata;
};

static void call_on_end(Exchange *exchange,
                        ExchangeEnd end,
                        int error,
                        const char *untrusted_data,
                        size_t untrusted_len,
                        void *userdata)
{
    PromptCall *call = userdata;
    PromptAnswer answer = { .result = PROMPT_NO };

    (void) exchange;
    (void) error;

    switch (end) {
    case EXCHANGE_UNREACHABLE:
        answer.result = PROMPT_NO_AGENT;
        break;
    case EXCHANGE_BROKEN:
    case EXCHANGE_TIMED_OUT:
        answer.result = PROMPT_DIED;
        break;
    case EXCHANGE_TOO_LONG:
        break;
    case EXCHANGE_COMPLETE:
        if (call->is_prompt)
            answer =
                prompt_decode(&call->prompt, untrusted_data, untrusted_len);
        break;
    }
    call->fn(call, &answer, call->userdata);
    /* @call may be gone from here on */
}

/* Takes over @request. */
static int call_new(PromptCall **ret,
                    sd_event *event,
                    const char *socket_path,
                    char *request_arg,
                    size_t len,
                    const PromptCall *values)
{
    _cleanup_(freep) char *request = request_arg;
    _cleanup_(prompt_call_freep) PromptCall *call = malloc(sizeof(*call));
    const ExchangeLimits limits = {
        .answer_max = PROMPT_ANSWER_MAX,
        .timeout_usec = values->is_prompt ? UINT64_MAX : NOTIFY_USEC,
    };
    int r;

    if (!call)
        return -ENOMEM;

    *call = *values;
    r = exchange_new(&call->exchange, event, socket_path, request, len, &limits,
                     call_on_end, call);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(call);
    return 0;
}

int prompt_call_new(PromptCall **ret,
                    sd_event *event,
                    const char *socket_path,
                    const Prompt *prompt,
                    PromptCallFn fn,
                    void *userdata)
{
    const PromptCall values = { .is_prompt = true,
                                .prompt = *prompt,
                                .fn = fn,
                                .userdata = userdata };
    char *request;
    size_t len;
    int r;

    r = prompt_encode(&request, &len, prompt);
    if (r < 0)
        return r;
    return call_new(ret, event, socket_path, request, len, &values);
}

int prompt_call_notify(PromptCall **ret,
                       sd_event *event,
                       const char *socket_path,
                       const Notification *notification,
                       PromptCallFn fn,
                       void *userdata)
{
    const PromptCall values = { .fn = fn, .userdata = userdata };
    char *request;
    size_t len;
    int r;

    r = notification_encode(&request, &len, notification);
    if (r < 0)
        return r;
    return call_new(ret, event, socket_path, request, len, &values);
}

PromptCall *prompt_call_free(PromptCall *call)
{
    if (!call)
        return NULL;

    exchange_free(call->exchange);
    free(call);
    return NULL;
}
