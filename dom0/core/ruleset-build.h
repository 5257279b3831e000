/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * From rule files to a ruleset: all or nothing
 */

#include "common/rules-file.h"
#include "dom0/core/ruleset.h"

/*
 * Every error, of a file or in one, is added to @diagnostics. Answers 0 also
 * then, but @ret is NULL; @ret is set only if there was none. -ENOMEM is the
 * only error returned.
 */
int ruleset_build(Ruleset **ret,
                  const RulesFiles *files,
                  Diagnostics *diagnostics);
