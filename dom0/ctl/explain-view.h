/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Explain view: why it went so with a device, for a person
 */

#include "dom0/ctl/view.h"

typedef enum ExplainDetail {
    EXPLAIN_VERDICT, /* what comes of it, and nothing else */
    EXPLAIN_RULES,
    EXPLAIN_WHOLE, /* and all that the device says of itself */
} ExplainDetail;

/* What comes of it, as far as that can be told. */
void explain_verdict_text(const View *view,
                          char *ret,
                          size_t size,
                          const json_t *explanation,
                          bool has_daemon);

/*
 * @explanation is of type Explanation in org.qubes-contrib.autoattach, with the
 * list "steps" of type Step beside it. @place, "" or as "history:3 add", is
 * where it was read. Without the daemon only the rules are known.
 */
void explain_view(View *view,
                  const json_t *explanation,
                  const char *place,
                  ExplainDetail detail,
                  bool has_daemon);
