/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Manager trial: what a trial needs to know of a device that is plugged in
 */

#include "dom0/core/manager.h"
#include "dom0/core/trial.h"

/*
 * What would be decided of the device now. False if it is not plugged in.
 * @ret_ruleset is a reference to the rules that @ret->rule belongs to;
 * @ret_device is valid until the manager is told of anything.
 */
_must_check_ bool manager_prepare_trial(const Manager *manager,
                                        const DeviceRef *ref,
                                        Instant now,
                                        TrialTask *ret,
                                        Ruleset **ret_ruleset,
                                        ReportDevice *ret_device);
