/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inquiry: asks qubesd and the policy daemon, and has nothing done
 *
 * What a trial wants to know, or which qubes there are. One call at a time,
 * each within its own deadline.
 */

#include <systemd/sd-event.h>

#include "dom0/core/trial.h"

/* Whom to ask; the paths are borrowed. */
typedef struct InquirySockets {
    sd_event *event;
    const char *qubesd_socket;
    const char *policy_socket;
} InquirySockets;

typedef struct Inquiry Inquiry;

/* Called exactly once, never from within inquiry_new_*(); the inquiry may be
 * freed by it. */
typedef void (*InquiryTrialFn)(Inquiry *inquiry, void *userdata);
/* @qubes is NULL if qubesd does not tell. */
typedef void (*InquiryQubesFn)(Inquiry *inquiry,
                               const QubeList *qubes,
                               void *userdata);

/* Run a trial to its end; it is borrowed. */
int inquiry_new_trial(Inquiry **ret,
                      const InquirySockets *sockets,
                      Trial *trial,
                      InquiryTrialFn fn,
                      void *userdata);
int inquiry_new_qubes(Inquiry **ret,
                      const InquirySockets *sockets,
                      InquiryQubesFn fn,
                      void *userdata);
/* If it is not answered yet, it will not be. */
Inquiry *inquiry_free(Inquiry *inquiry);

DEFINE_CLEANUP(Inquiry *, inquiry_free)
