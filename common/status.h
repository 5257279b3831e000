/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Status codes: the one table (DESIGN 3)
 *
 * Number, name, what the source is told, the sentence for the person and the
 * exit status of the commands. Numbers and names are stable.
 */

#include "common/util.h"

/* 0 is no status: zeroed memory never reads as success. */
typedef enum Status {
    STATUS_INVALID = 0,
    STATUS_ATTACHED = 200,
    STATUS_ALREADY_ATTACHED = 201,
    STATUS_DETACHED = 203,
    STATUS_NOT_ATTACHED = 300,
    STATUS_NO_RULE = 301,
    STATUS_DENIED_BY_RULE = 302,
    STATUS_DENIED_BY_POLICY = 303,
    STATUS_DENIED_BY_USER = 304,
    STATUS_APPROVAL_TIMEOUT = 305,
    STATUS_TARGET_NOT_RUNNING = 306,
    STATUS_WAITING_FOR_TARGET = 307,
    STATUS_DETACHED_BY_USER = 308,
    STATUS_PAUSED = 309,
    STATUS_ATTACHED_ELSEWHERE = 310,
    STATUS_SUPERSEDED = 311,
    STATUS_QUIET = 312,
    STATUS_MALFORMED = 400,
    STATUS_UNSUPPORTED_VERSION = 401,
    STATUS_NO_SUCH_DEVICE = 404,
    STATUS_TOO_LARGE = 413,
    STATUS_TOO_MANY = 429,
    STATUS_INTERNAL = 500,
    STATUS_QUBESD_REFUSED = 502,
    STATUS_UNAVAILABLE = 503,
    STATUS_TIMEOUT = 504,
    STATUS_START_FAILED = 520,
    STATUS_ATTACH_FAILED = 521,
} Status;

/* A known number, or STATUS_INVALID. */
Status status_from_number(int64_t number);

/* The name, as "attached". */
const char *status_name(Status status);
/* A sentence for the person, without a full stop. */
const char *status_sentence(Status status);
/* What sys-usb is told in its place. */
Status status_told(Status status);
/* 0 for 2xx, 3 for 3xx, 4 for 4xx, 5 for 5xx. */
int status_exit(Status status);
static inline bool status_is_success(Status status)
{
    return status >= 200 && status < 300;
}

/* Every status in the order of the numbers, for tests and documentation. */
size_t status_count(void);
Status status_at(size_t index);
