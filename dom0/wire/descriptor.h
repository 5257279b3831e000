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
 * length with the NUL. dom0 is no source.
 */
DescriptorResult descriptor_decode(QubeName *ret_source,
                                   size_t *ret_len,
                                   const char *untrusted_data,
                                   size_t untrusted_len);
