/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Service descriptor: what qrexec writes first on a service's socket (WIRE 2)
 *
 *     autoattach.Event+ SOURCE name dom0\0
 *     autoattach.Event+ SOURCE keyword adminvm\0
 *
 * The source is authentic: qrexec put it there.
 */

#include "common/qube-name.h"
#include "common/wire/line-buffer.h"

/* the longest good one, with its NUL */
#define DESCRIPTOR_MAX \
    (sizeof("autoattach.Event+  keyword adminvm") + QUBE_NAME_MAX)

typedef enum DescriptorResult {
    DESCRIPTOR_BAD,
    DESCRIPTOR_INCOMPLETE,
    DESCRIPTOR_GOOD,
} DescriptorResult;

/*
 * Look for a descriptor at the start of @untrusted_data. @ret_len is its
 * length with the NUL. dom0 is no source. Unless it is good nothing is set.
 */
DescriptorResult descriptor_decode(QubeName *ret_source,
                                   size_t *ret_len,
                                   const char *untrusted_data,
                                   size_t untrusted_len);

/* What came of a descriptor, and behind it; a zeroed one is ready. */
typedef struct DescriptorBuffer {
    char data[DESCRIPTOR_MAX];
    size_t len;
} DescriptorBuffer;

/* Room to read into, at least one byte while it is not complete. */
char *descriptor_space(DescriptorBuffer *buffer, size_t *ret_size);

/*
 * So many bytes were read into it. What came behind a good descriptor are the
 * first lines: they are put into @lines, which is to be empty.
 */
DescriptorResult descriptor_filled(DescriptorBuffer *buffer,
                                   size_t n,
                                   QubeName *ret_source,
                                   LineBuffer *lines);
