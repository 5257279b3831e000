/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "common/status.h"

typedef struct StatusInfo {
    Status status;
    Status told;
    const char *name;
    const char *sentence;
} StatusInfo;

#define ITSELF(status, name, sentence) \
    { (status), (status), (name), (sentence) }
#define HIDDEN(status, name, sentence) \
    { (status), STATUS_NOT_ATTACHED, (name), (sentence) }

static const StatusInfo infos[] = {
    ITSELF(STATUS_ATTACHED, "attached", "attached"),
    ITSELF(STATUS_ALREADY_ATTACHED,
           "already-attached",
           "it was already where the rule wants it"),
    ITSELF(STATUS_DETACHED, "detached", "nothing of it is left attached"),
    ITSELF(STATUS_NOT_ATTACHED, "not-attached", "not attached"),
    HIDDEN(STATUS_NO_RULE, "no-rule", "no rule matches"),
    HIDDEN(STATUS_DENIED_BY_RULE, "denied-by-rule", "a rule denies it"),
    HIDDEN(STATUS_DENIED_BY_POLICY,
           "denied-by-policy",
           "the Qubes policy does not allow it"),
    HIDDEN(STATUS_DENIED_BY_USER,
           "denied-by-user",
           "you said no; replug or retry it to be asked again"),
    HIDDEN(STATUS_APPROVAL_TIMEOUT,
           "approval-timeout",
           "nobody answered the prompt in time"),
    HIDDEN(STATUS_TARGET_NOT_RUNNING,
           "target-not-running",
           "the target is not running and the rule does not start it"),
    HIDDEN(STATUS_WAITING_FOR_TARGET,
           "waiting-for-target",
           "waits until the target qube runs"),
    HIDDEN(STATUS_DETACHED_BY_USER,
           "detached-by-user",
           "you detached it; left alone until it is replugged or retried"),
    HIDDEN(STATUS_PAUSED, "paused", "attaching is paused"),
    HIDDEN(STATUS_ATTACHED_ELSEWHERE,
           "attached-elsewhere",
           "another qube has it, or another part of the same device"),
    HIDDEN(STATUS_SUPERSEDED,
           "superseded",
           "unplugged or replaced meanwhile, or not what was reported"),
    HIDDEN(STATUS_QUIET,
           "quiet",
           "prompts for devices of this qube are silenced for now"),
    ITSELF(STATUS_MALFORMED, "malformed", "not a valid line"),
    ITSELF(STATUS_UNSUPPORTED_VERSION,
           "unsupported-version",
           "a protocol version that this side does not speak"),
    HIDDEN(STATUS_NO_SUCH_DEVICE,
           "no-such-device",
           "qubesd does not list such a device"),
    ITSELF(STATUS_TOO_LARGE, "too-large", "the line is too long"),
    ITSELF(STATUS_TOO_MANY, "too-many", "a limit is reached; try later"),
    HIDDEN(STATUS_INTERNAL, "internal", "an internal error; see the journal"),
    HIDDEN(STATUS_QUBESD_REFUSED,
           "qubesd-refused",
           "qubesd answered with an error"),
    HIDDEN(STATUS_UNAVAILABLE,
           "unavailable",
           "a service that is needed is not there"),
    HIDDEN(STATUS_TIMEOUT, "timeout", "it took too long"),
    HIDDEN(STATUS_START_FAILED, "start-failed", "the target did not start"),
    HIDDEN(STATUS_ATTACH_FAILED,
           "attach-failed",
           "the attach did not happen, after all tries"),
};

static const StatusInfo *info_of(Status status)
{
    for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
        if (infos[i].status == status)
            return &infos[i];

    assert(false);
    return NULL;
}

Status status_from_number(int64_t number)
{
    for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
        if ((int64_t) infos[i].status == number)
            return infos[i].status;
    return STATUS_INVALID;
}

const char *status_name(Status status)
{
    return info_of(status)->name;
}

const char *status_sentence(Status status)
{
    return info_of(status)->sentence;
}

Status status_told(Status status)
{
    return info_of(status)->told;
}

int status_exit(Status status)
{
    int hundreds = (int) info_of(status)->status / 100;

    return hundreds == 2 ? 0 : hundreds;
}

size_t status_count(void)
{
    return ARRAY_SIZE(infos);
}

Status status_at(size_t index)
{
    assert(index < ARRAY_SIZE(infos));

    return infos[index].status;
}
