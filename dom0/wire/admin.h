/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Admin API: bytes of WIRE 1 <-> values
 *
 * The request's header is split at single spaces by qubesd, so it is made of
 * nothing but our own words, QubeName, DeviceName and DeviceIdentity, none of
 * which can hold a space or a NUL.
 */

#include "dom0/core/admin.h"

/* header and payload of the longest request */
#define ADMIN_REQUEST_MAX 1024U
/* a longer answer is garbage */
#define ADMIN_ANSWER_MAX (1024U * 1024U)
/* what a longer frame of admin.Events says is not looked at */
#define ADMIN_FRAME_MAX (64U * 1024U)

/* Write the request into @ret; answers its length. Cannot fail. */
size_t admin_encode(char ret[ADMIN_REQUEST_MAX], const AdminRequest *request);

/* Make sense of a whole answer to @request, read to its end. */
void admin_decode(AdminAnswer *ret,
                  const AdminRequest *request,
                  const char *untrusted_data,
                  size_t untrusted_len);

/* An answer that never came; @detail is a sentence of ours. */
void admin_fail(AdminAnswer *ret, AdminResult result, const char *detail);

typedef enum AdminFrameResult {
    ADMIN_FRAME_BAD, /* the stream cannot be followed any further */
    ADMIN_FRAME_INCOMPLETE,
    ADMIN_FRAME_GOOD,
} AdminFrameResult;

/*
 * Take one frame of admin.Events from the start of @untrusted_data; @ret_len
 * is its length. A frame that does not concern us, or whose values are not of
 * their form, is ADMIN_EVENT_OTHER. So is @ret where no frame was taken, and
 * @ret_len is left.
 */
AdminFrameResult admin_decode_frame(AdminEvent *ret,
                                    size_t *ret_len,
                                    const char *untrusted_data,
                                    size_t untrusted_len);

/* Where one is in a frame that is too long to be kept; zeroed at its start. */
typedef struct AdminFrameSkip {
    size_t n_fields; /* that have ended */
    bool begun;      /* the next one has, it is not empty */
} AdminFrameSkip;

/*
 * Go on to the end of such a frame: any qube can make qubesd write one, as its
 * words are told in events, too. True if that is in @untrusted_data, behind
 * @ret_len bytes.
 */
bool admin_skip_frame(AdminFrameSkip *skip,
                      size_t *ret_len,
                      const char *untrusted_data,
                      size_t untrusted_len);
