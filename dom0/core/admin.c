/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "dom0/core/admin.h"

/* as qubesd writes them (admin.vm.CurrentState) */
static const char *const power_states[] = {
    [POWER_UNKNOWN] = "in an unknown state",
    [POWER_HALTED] = "Halted",
    [POWER_TRANSIENT] = "Transient",
    [POWER_RUNNING] = "Running",
    [POWER_PAUSED] = "Paused",
    [POWER_SUSPENDED] = "Suspended",
    [POWER_HALTING] = "Halting",
    [POWER_DYING] = "Dying",
    [POWER_CRASHED] = "Crashed",
};

uint64_t admin_deadline_usec(AdminMethod method)
{
    switch (method) {
    case ADMIN_LIST:
    case ADMIN_CURRENT_STATE:
    case ADMIN_AVAILABLE:
    case ADMIN_ATTACHED:
    case ADMIN_PROPERTY_GET:
    case ADMIN_OLD_LIST:
        return ADMIN_LOOK_USEC;
    case ADMIN_ATTACH:
    case ADMIN_DETACH:
    case ADMIN_KILL:
    case ADMIN_SHUTDOWN:
    case ADMIN_REMOVE:
        return ADMIN_ATTACH_USEC;
    case ADMIN_START:
    case ADMIN_CREATE_DISPOSABLE:
        return ADMIN_START_USEC;
    case ADMIN_EVENTS:
        return UINT64_MAX;
    case ADMIN_INVALID:
        break;
    }
    assert(false);
    return 0;
}

bool admin_only_asks(AdminMethod method)
{
    switch (method) {
    case ADMIN_LIST:
    case ADMIN_CURRENT_STATE:
    case ADMIN_AVAILABLE:
    case ADMIN_ATTACHED:
    case ADMIN_PROPERTY_GET:
    case ADMIN_OLD_LIST:
        return true;
    case ADMIN_INVALID:
    case ADMIN_EVENTS:
    case ADMIN_ATTACH:
    case ADMIN_DETACH:
    case ADMIN_START:
    case ADMIN_KILL:
    case ADMIN_SHUTDOWN:
    case ADMIN_REMOVE:
    case ADMIN_CREATE_DISPOSABLE:
        break;
    }
    return false;
}

const char *power_state_to_string(PowerState state)
{
    return power_states[state];
}

PowerState power_state_from_string(const char *untrusted_text, size_t len)
{
    for (size_t i = 1; i < ARRAY_SIZE(power_states); i++)
        if (strlen(power_states[i]) == len &&
            memcmp(power_states[i], untrusted_text, len) == 0)
            return (PowerState) i;
    return POWER_UNKNOWN;
}
