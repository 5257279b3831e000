/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * StateKeeper: what the manager must not forget, in a file
 *
 * A file that cannot be read, or that is not ours, is set aside and told of,
 * and never keeps the daemon from its work; nor does a folder that cannot be
 * written to.
 */

#include "common/boot-id.h"
#include "dom0/core/manager.h"

typedef struct StateKeeper StateKeeper;

/* @dir_path is borrowed. */
int state_keeper_new(StateKeeper **ret, const char *dir_path);
StateKeeper *state_keeper_free(StateKeeper *keeper);

/* A new manager with what the file holds. Without a file, or with one that
 * cannot be used, the manager knows nothing. Fails if is_lack(). */
int state_keeper_restore(StateKeeper *keeper, Manager **ret, bool unlimited);

/* Write the state, if it differs from what was written last. */
void state_keeper_save(StateKeeper *keeper, const Manager *manager);

/* What is wrong, for a person; "" if nothing is. */
const char *state_keeper_detail(const StateKeeper *keeper);

DEFINE_CLEANUP(StateKeeper *, state_keeper_free)
