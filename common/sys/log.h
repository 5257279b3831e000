/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Log: to the journal where standard error leads there, else to standard error
 *
 * Messages are one line each. Text that a qube or a device chose must have
 * gone through text_escape(), unless its type cannot hold a bad byte.
 */

#include <syslog.h>

#include "common/util.h"

#define LOG_MESSAGE_MAX 2048U
#define LOG_FIELDS_MAX  12U

typedef struct LogField {
    const char *name; /* as "AUTOATTACH_SOURCE" */
    const char *value;
} LogField;

/* @priority is LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO or LOG_DEBUG. */
void log_message(int priority, const char *format, ...) _printf_(2, 3);

/*
 * A message with fields for the journal. @message_id is a 128-bit id in hex.
 * On standard error the fields follow the message as NAME=value.
 */
void log_fields(int priority,
                const char *message_id,
                const LogField *fields,
                size_t n_fields,
                const char *message);
