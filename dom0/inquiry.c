/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "dom0/inquiry.h"
#include "dom0/io/admin-call.h"
#include "dom0/io/policy-call.h"
#include "dom0/io/qubes-call.h"

struct Inquiry {
    InquirySockets sockets;
    Trial *trial; /* borrowed; NULL: only about qubes */
    InquiryTrialFn trial_fn;
    InquiryQubesFn qubes_fn;
    void *userdata;

    /* the call under way; or @done, if nothing has to be asked */
    AdminCall *admin;
    PolicyCall *policy;
    QubesCall *qubes;
    sd_event_source *done;
};

static void go_on(Inquiry *inquiry);

static void on_admin(AdminCall *call, const AdminAnswer *answer, void *userdata)
{
    Inquiry *inquiry = userdata;

    trial_on_answer(inquiry->trial, answer);
    inquiry->admin = admin_call_free(call);
    go_on(inquiry);
}

static void on_policy(PolicyCall *call, PolicyAnswer answer, void *userdata)
{
    Inquiry *inquiry = userdata;

    trial_on_policy(inquiry->trial, answer);
    inquiry->policy = policy_call_free(call);
    go_on(inquiry);
}

static void on_qubes(QubesCall *call, const QubeList *qubes, void *userdata)
{
    Inquiry *inquiry = userdata;

    if (!inquiry->trial) {
        inquiry->qubes_fn(inquiry, qubes, inquiry->userdata);
        return;
    }
    trial_on_qubes(inquiry->trial, qubes);
    inquiry->qubes = qubes_call_free(call);
    go_on(inquiry);
}

static int on_done(sd_event_source *source, void *userdata)
{
    Inquiry *inquiry = userdata;

    (void) source;

    inquiry->trial_fn(inquiry, inquiry->userdata);
    /* @inquiry may be gone from here on */
    return 0;
}

static int begin_call(Inquiry *inquiry, TrialWish wish)
{
    const InquirySockets *sockets = &inquiry->sockets;

    switch (wish) {
    case TRIAL_WISH_CALL:
        return admin_call_new(&inquiry->admin, sockets->event,
                              sockets->qubesd_socket,
                              trial_request(inquiry->trial), on_admin, inquiry);
    case TRIAL_WISH_QUESTION:
        return policy_call_new(
            &inquiry->policy, sockets->event, sockets->policy_socket,
            trial_question(inquiry->trial), on_policy, inquiry);
    case TRIAL_WISH_QUBES:
        return qubes_call_new(&inquiry->qubes, sockets->event,
                              sockets->qubesd_socket, on_qubes, inquiry);
    case TRIAL_WISH_DONE:
        break;
    }
    return 0;
}

/* The call could not be begun: answer as if nobody could be reached. */
static void tell_failure(Inquiry *inquiry, TrialWish wish)
{
    static const AdminAnswer unreachable = { .result = ADMIN_UNREACHABLE };

    switch (wish) {
    case TRIAL_WISH_CALL:
        trial_on_answer(inquiry->trial, &unreachable);
        return;
    case TRIAL_WISH_QUESTION:
        trial_on_policy(inquiry->trial, POLICY_UNREACHABLE);
        return;
    case TRIAL_WISH_QUBES:
        trial_on_qubes(inquiry->trial, NULL);
        return;
    case TRIAL_WISH_DONE:
        return;
    }
}

/* Ask for what the trial wants to know next; false if that is nothing more. */
static bool ask_next(Inquiry *inquiry)
{
    TrialWish wish;

    while ((wish = trial_wish(inquiry->trial)) != TRIAL_WISH_DONE) {
        if (begin_call(inquiry, wish) >= 0)
            return true;
        tell_failure(inquiry, wish);
    }
    return false;
}

static void go_on(Inquiry *inquiry)
{
    if (!ask_next(inquiry))
        inquiry->trial_fn(inquiry, inquiry->userdata);
    /* @inquiry may be gone from here on */
}

static Inquiry *inquiry_new(const InquirySockets *sockets, void *userdata)
{
    Inquiry *inquiry = calloc(1, sizeof(*inquiry));

    if (inquiry) {
        inquiry->sockets = *sockets;
        inquiry->userdata = userdata;
    }
    return inquiry;
}

int inquiry_new_trial(Inquiry **ret,
                      const InquirySockets *sockets,
                      Trial *trial,
                      InquiryTrialFn fn,
                      void *userdata)
{
    _cleanup_(inquiry_freep) Inquiry *inquiry = inquiry_new(sockets, userdata);
    int r = 0;

    if (!inquiry)
        return -ENOMEM;

    inquiry->trial = trial;
    inquiry->trial_fn = fn;
    if (!ask_next(inquiry))
        r = sd_event_add_defer(sockets->event, &inquiry->done, on_done,
                               inquiry);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(inquiry);
    return 0;
}

int inquiry_new_qubes(Inquiry **ret,
                      const InquirySockets *sockets,
                      InquiryQubesFn fn,
                      void *userdata)
{
    _cleanup_(inquiry_freep) Inquiry *inquiry = inquiry_new(sockets, userdata);
    int r;

    if (!inquiry)
        return -ENOMEM;

    inquiry->qubes_fn = fn;
    r = qubes_call_new(&inquiry->qubes, sockets->event, sockets->qubesd_socket,
                       on_qubes, inquiry);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(inquiry);
    return 0;
}

Inquiry *inquiry_free(Inquiry *inquiry)
{
    if (!inquiry)
        return NULL;

    admin_call_free(inquiry->admin);
    policy_call_free(inquiry->policy);
    qubes_call_free(inquiry->qubes);
    sd_event_source_disable_unref(inquiry->done);
    free(inquiry);
    return NULL;
}
