/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Rules folder: tells when its files may have changed
 *
 * Watches the folder; while it does not exist or may not be read, the nearest
 * folder above it that can be watched. However many changes come at once,
 * on_change is called once for what was there when the loop looked. Nothing is
 * read here.
 */

#include <systemd/sd-event.h>

#include "common/util.h"

typedef struct RulesDir RulesDir;

typedef void (*RulesDirFn)(void *userdata);

int rules_dir_new(RulesDir **ret,
                  sd_event *event,
                  const char *path,
                  RulesDirFn on_change,
                  void *userdata);
/* Watch what lies at the path now; to be called where that may have changed
 * without a word. */
int rules_dir_watch(RulesDir *dir);
RulesDir *rules_dir_free(RulesDir *dir);

DEFINE_CLEANUP(RulesDir *, rules_dir_free)
