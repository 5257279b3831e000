/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "dom0/core/manager-internal.h"

void window_free(Window *window)
{
    ruleset_unref(window->ruleset);
    *window = (Window){};
}

Window *desk_find_window(PromptDesk *desk, uint64_t id)
{
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        if (desk->windows[i].id == id)
            return &desk->windows[i];
    return NULL;
}

/* The plug that the window was about, if it still is what it was. */
static Device *window_device(const Manager *m, const Window *window)
{
    Source *source = manager_find_source(m, &window->source);
    Device *device =
        source ? source_find(source, window->class, &window->device) : NULL;

    return device && device->plugged && device->plug == window->plug ? device
                                                                     : NULL;
}

/* Whether a yes may still be given for the plug. */
static bool plug_has_window(const Manager *m, const Device *device)
{
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        if (m->desk.windows[i].id != 0 &&
            window_device(m, &m->desk.windows[i]) == device)
            return !device_is_refused(device);
    return false;
}

/* A window that outlived its job was answered: where it was the last one, and
 * has attached nothing, the plug is in nobody's way any more. */
static void window_make_way(Manager *m, const Window *window)
{
    const Device *device = window_device(m, window);

    if (device && !device->job && !plug_has_window(m, device))
        device_make_way(m, device,
                        device->status == STATUS_APPROVAL_TIMEOUT
                            ? STATUS_DENIED_BY_USER
                            : device->status);
}

/* If the source's prompts are silenced now, end its jobs that wait for one. */
static void silence(Manager *m, const Source *source, Instant now)
{
    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (!managed->dead && managed->source == source &&
            managed->job.state == JOB_AWAITING_PROMPT &&
            device_is_quiet(managed->device, now.monotonic_usec))
            managed_apply(m, managed,
                          job_on_refused(&managed->job, STATUS_QUIET, "",
                                         now.monotonic_usec),
                          now);
}

/*
 * The job that an answer is for: the one that has asked, or one that has taken
 * its place for the same plug and the same rule, to which @dispvm means the
 * same, and waits for a prompt of its own, or for the answer to that.
 */
static ManagedJob *window_job(const Manager *m, const Window *window)
{
    Device *device = window_device(m, window);
    ManagedJob *managed = device ? device->job : NULL;

    if (window->managed)
        return window->managed;
    return managed &&
                   (managed->job.state == JOB_AWAITING_PROMPT ||
                    managed->job.state == JOB_ASKING) &&
                   rule_equal(managed->rule, window->rule) &&
                   qube_name_equal(&managed->job.default_dispvm,
                                   &window->default_dispvm)
               ? managed
               : NULL;
}

/* No other job of the plug shall ask again, or attach it, whatever its rule. */
static void refuse_others(Manager *m, Device *device, Instant now)
{
    for (Device *part = device->source->devices; part; part = part->next) {
        if (!device_shares_no(device, part))
            continue;
        device_drop_queued(m, part, STATUS_DENIED_BY_USER, "", now);
        if (part->job && part->job->kind == JOB_KIND_ATTACH &&
            !managed_is_attaching(part->job))
            managed_withdraw(m, part->job, STATUS_DENIED_BY_USER, "", now);
    }
}

static void on_no(Manager *m,
                  const Window *window,
                  ManagedJob *managed,
                  Instant now)
{
    Source *source = manager_find_source(m, &window->source);
    Device *device = window_device(m, window);

    if (device) {
        device->refused_by_user = true;
        device->wanted = false;
        device_drop_queued(m, device, STATUS_DENIED_BY_USER, "", now);
    }
    if (managed)
        managed_apply(m, managed,
                      job_on_refused(&managed->job, STATUS_DENIED_BY_USER, "",
                                     now.monotonic_usec),
                      now);
    if (device)
        refuse_others(m, device, now);
    if (!source)
        return;
    source_on_no(source, now.monotonic_usec);
    silence(m, source, now);
}

void managed_note_yes(ManagedJob *managed, const Window *window, size_t choice)
{
    managed->approved_early = true;
    managed->yes_choice = choice;
    managed->yes_dispvm = window->default_dispvm;
    managed->yes_identity = window->identity;
}

bool managed_take_early_yes(ManagedJob *managed, JobWish *ret, Instant now)
{
    Job *job = &managed->job;

    if (!managed->approved_early ||
        !qube_name_equal(&job->default_dispvm, &managed->yes_dispvm))
        return false;

    managed->approved_early = false;
    job->task.known_as = managed->yes_identity;
    (void) job_on_prompt_open(job, UINT64_MAX, now.monotonic_usec);
    *ret = job_on_approved(job, managed->yes_choice, now.monotonic_usec);
    return true;
}

/* No job waits for this yes. If one of the same rule is on its way to a prompt,
 * it counts there; else it begins one. */
static void on_late_yes(Manager *m,
                        Device *device,
                        const Window *window,
                        const Rule *rule,
                        size_t choice,
                        Instant now)
{
    ManagedJob *next = device->queued ? device->queued : device->job;

    if (!next || next->kind != JOB_KIND_ATTACH || next->told ||
        !rule_equal(next->rule, rule)) {
        device_attach_approved(m, device, rule, window, choice, now);
        return;
    }
    managed_note_yes(next, window, choice);
}

/* A yes counts for the plug and the rule that it was asked for. */
static void on_yes(Manager *m,
                   const Window *window,
                   ManagedJob *managed,
                   size_t answer,
                   Instant now)
{
    Source *source = manager_find_source(m, &window->source);
    Device *device = window_device(m, window);
    const Rule *rule =
        device ? ruleset_match(m->ruleset, &window->source, &device->record)
               : NULL;
    bool good =
        rule && rule_equal(rule, window->rule) && answer < window->n_choices;

    if (source)
        source_on_yes(source);
    if (managed && good) {
        /* a job that has taken the place of the one that was shown has no
         * window of its own: this one counts for it */
        (void) job_on_prompt_open(&managed->job, UINT64_MAX,
                                  now.monotonic_usec);
        managed->job.task.known_as = window->identity;
        managed_apply(m, managed,
                      job_on_approved(&managed->job, window->choices[answer],
                                      now.monotonic_usec),
                      now);
    } else if (managed) {
        managed_refuse_outdated(m, managed, now);
    } else if (good && !device_is_refused(device) &&
               !device_is_left_alone(device)) {
        on_late_yes(m, device, window, rule, window->choices[answer], now);
    }
}

void manager_on_prompt(Manager *m,
                       uint64_t id,
                       const PromptAnswer *answer,
                       Instant now)
{
    PromptDesk *desk = &m->desk;
    Window *open = desk_find_window(desk, id);
    ManagedJob *managed;
    Window window;

    assert(open);
    window = *open;
    managed = answer->result == PROMPT_YES || answer->result == PROMPT_NO
                  ? window_job(m, open)
                  : open->managed;

    /* the window is closed, whatever its answer is worth */
    *open = (Window){};

    if (answer->result != PROMPT_NO_AGENT) {
        desk->no_agent = false;
        desk->backoff_usec = MANAGER_AGENT_USEC;
    }
    switch (answer->result) {
    case PROMPT_NO_AGENT:
        desk_on_no_agent(m, managed, now);
        break;
    case PROMPT_DIED:
        if (managed)
            managed_apply(m, managed,
                          job_on_refused(&managed->job, STATUS_UNAVAILABLE,
                                         "the policy agent went away without "
                                         "an answer",
                                         now.monotonic_usec),
                          now);
        break;
    case PROMPT_NO:
        on_no(m, &window, managed, now);
        break;
    case PROMPT_YES:
        on_yes(m, &window, managed, answer->target, now);
        break;
    }
    window_make_way(m, &window);
    window_free(&window);
    manager_settle(m, now);
}
