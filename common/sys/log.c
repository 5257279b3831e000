/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* the caller's place in the source tells a reader of the journal nothing */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "common/sys/log.h"
#include "common/text.h"

/* journal fields that every entry has: MESSAGE, MESSAGE_ID, PRIORITY */
#define N_COMMON_FIELDS 3U
#define FIELD_MAX       (LOG_MESSAGE_MAX + 64U)

/* systemd.exec(5): JOURNAL_STREAM is the device and inode of the stream */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uint64_t device, inode;
    struct stat st;

    return stream &&
           /* NOLINTNEXTLINE(cert-err34-c): systemd's own words */
           sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
           st.st_ino == inode;
}

/* One write() a line, so that lines of several processes do not mix. */
static void write_stderr(const char *message,
                         const LogField *fields,
                         size_t n_fields)
{
    char line[FIELD_MAX * 2];
    size_t len = text_format(line, sizeof(line) - 1, "%s", message);
    ssize_t n;

    for (size_t i = 0; i < n_fields; i++)
        len += text_format(line + len, sizeof(line) - 1 - len, " %s=%s",
                           fields[i].name, fields[i].value);
    line[len++] = '\n';

    /* nobody is left to tell if this fails */
    n = write(STDERR_FILENO, line, len);
    (void) n;
}

static void write_journal(int priority,
                          const char *message_id,
                          const LogField *fields,
                          size_t n_fields,
                          const char *message)
{
    char texts[LOG_FIELDS_MAX + N_COMMON_FIELDS][FIELD_MAX];
    struct iovec parts[ARRAY_SIZE(texts)];
    int n = 0;

    (void) text_format(texts[n++], FIELD_MAX, "MESSAGE=%s", message);
    (void) text_format(texts[n++], FIELD_MAX, "PRIORITY=%i", priority);
    if (message_id)
        (void) text_format(texts[n++], FIELD_MAX, "MESSAGE_ID=%s", message_id);
    for (size_t i = 0; i < n_fields; i++)
        (void) text_format(texts[n++], FIELD_MAX, "%s=%s", fields[i].name,
                           fields[i].value);

    for (int i = 0; i < n; i++)
        parts[i] = (struct iovec){ .iov_base = texts[i],
                                   .iov_len = strlen(texts[i]) };
    if (sd_journal_sendv(parts, n) < 0)
        write_stderr(message, fields, n_fields);
}

void log_fields(int priority,
                const char *message_id,
                const LogField *fields,
                size_t n_fields,
                const char *message)
{
    assert(n_fields <= LOG_FIELDS_MAX);

    if (stderr_is_journal())
        write_journal(priority, message_id, fields, n_fields, message);
    else
        write_stderr(message, fields, n_fields);
}

void log_message(int priority, const char *format, ...)
{
    char message[LOG_MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    (void) text_format_list(message, sizeof(message), format, args);
    va_end(args);

    log_fields(priority, NULL, NULL, 0, message);
}
