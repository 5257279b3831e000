/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/core/manager-internal.h"

/* shown when qubesd does not tell an icon */
#define QUBE_ICON         "appvm-red"
#define DISPOSABLE_PREFIX "dispvm-"
#define DISPOSABLE_ICON   DISPOSABLE_PREFIX "red"

void desk_clear(Manager *m)
{
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        window_free(&m->desk.windows[i]);
}

void desk_forget(Manager *m, const ManagedJob *managed)
{
    PromptDesk *desk = &m->desk;

    if (desk->managed == managed)
        desk->managed = NULL;
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        if (desk->windows[i].managed == managed)
            desk->windows[i].managed = NULL;
}

/* When open windows allow the next prompt; UINT64_MAX: not before one is
 * closed. */
static uint64_t desk_free_usec(const PromptDesk *desk, uint64_t now_usec)
{
    uint64_t free_usec = now_usec;
    size_t n_open = 0;

    for (size_t i = 0; i < WINDOWS_MAX; i++) {
        const Window *window = &desk->windows[i];
        uint64_t until_usec = window->opened_usec + MANAGER_WINDOW_USEC;

        if (window->id == 0)
            continue;
        n_open++;
        if (until_usec > free_usec)
            free_usec = until_usec;
    }
    return n_open < WINDOWS_MAX ? free_usec : UINT64_MAX;
}

/* The oldest one of the source that was not prompted for the longest: so none
 * keeps others from being asked by the number of its devices. */
static ManagedJob *desk_next_job(const Manager *m)
{
    ManagedJob *next = NULL;

    for (ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (!managed->dead && managed->job.state == JOB_AWAITING_PROMPT &&
            (!next || managed->source->prompted < next->source->prompted) &&
            !device_is_looked_at(managed->device))
            next = managed;
    return next;
}

static void desk_call(PromptDesk *desk,
                      DeskStep step,
                      const QubeName *dest,
                      AdminProperty property)
{
    desk->step = step;
    desk->request = (AdminRequest){ .method = ADMIN_PROPERTY_GET,
                                    .dest = *dest,
                                    .property = property };
    desk->wants_call = true;
    desk->call = 0;
}

static void desk_ask_target_icon(PromptDesk *desk)
{
    const Target *target = &desk->prompt.targets[desk->index];

    if (desk->index == desk->prompt.n_targets)
        desk->step = DESK_READY;
    else
        desk_call(desk, DESK_TARGET_ICON, &target->name,
                  target->kind == TARGET_QUBE ? ADMIN_PROPERTY_ICON
                                              : ADMIN_PROPERTY_LABEL);
}

/* Prepare the prompt of a job: what it says, then what it looks like. */
static void desk_begin(PromptDesk *desk, ManagedJob *managed)
{
    const Job *job = &managed->job;
    Prompt *prompt = &desk->prompt;

    desk->managed = managed;
    desk->index = 0;
    *prompt =
        (Prompt){ .source = job->task.source, .rule = managed->rule->name };
    if (device_name_is_plain(job->task.class, &job->task.device))
        prompt->device = job->task.device;
    prompt->n_targets =
        job_prompt(job, prompt->targets, desk->choices, &prompt->preselected);
    desk_call(desk, DESK_GUIVM, &job->task.source, ADMIN_PROPERTY_GUIVM);
}

void managed_refuse_outdated(Manager *m, ManagedJob *managed, Instant now)
{
    managed->outdated = true;
    managed_apply(m, managed,
                  job_on_refused(&managed->job, STATUS_SUPERSEDED,
                                 RULES_CHANGED, now.monotonic_usec),
                  now);
}

/* A window that an earlier run has left on the screen is never answered: after
 * MANAGER_WINDOW_USEC it counts no longer. */
static void desk_drop_lost(PromptDesk *desk, uint64_t now_usec)
{
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        if (desk->windows[i].lost &&
            now_usec >= desk->windows[i].opened_usec + MANAGER_WINDOW_USEC)
            window_free(&desk->windows[i]);
}

void desk_step(Manager *m, Instant now)
{
    PromptDesk *desk = &m->desk;

    desk_drop_lost(desk, now.monotonic_usec);

    /* the job wants its prompt no more (answered in another window, device not
     * listed any more), or a look has to end first */
    if (desk->managed && (desk->managed->job.state != JOB_AWAITING_PROMPT ||
                          device_is_looked_at(desk->managed->device)))
        desk->managed = NULL;
    if (desk->managed &&
        !rule_is_current(m, desk->managed->device, desk->managed->rule))
        managed_refuse_outdated(m, desk->managed, now);
    if (desk->managed || now.monotonic_usec < desk->retry_usec ||
        desk_free_usec(desk, now.monotonic_usec) > now.monotonic_usec)
        return;

    desk->wants_call = false;
    for (;;) {
        ManagedJob *managed = desk_next_job(m);

        if (managed && rule_is_current(m, managed->device, managed->rule))
            desk_begin(desk, managed);
        else if (managed)
            managed_refuse_outdated(m, managed, now);
        if (!managed || desk->managed)
            return;
    }
}

bool desk_has_window_of(const Manager *m, const QubeName *source)
{
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        if (m->desk.windows[i].id != 0 && !m->desk.windows[i].lost &&
            qube_name_equal(&m->desk.windows[i].source, source))
            return true;
    return false;
}

uint64_t desk_next_usec(const Manager *m)
{
    const PromptDesk *desk = &m->desk;
    uint64_t usec;

    if (desk->managed || !desk_next_job(m))
        return UINT64_MAX;
    usec = desk_free_usec(desk, 0);
    return usec > desk->retry_usec ? usec : desk->retry_usec;
}

bool desk_next_call(Manager *m, uint64_t call, AdminRequest *ret_request)
{
    PromptDesk *desk = &m->desk;

    if (!desk->managed || !desk->wants_call)
        return false;

    desk->wants_call = false;
    desk->call = call;
    *ret_request = desk->request;
    return true;
}

static void take_icon(IconName *ret,
                      const AdminAnswer *answer,
                      const char *prefix,
                      const char *fallback)
{
    char name[APPROVAL_ICON_MAX + 1];
    size_t len = 0;

    if (answer->result == ADMIN_OK && answer->value.s[0] != '\0')
        len = text_format(name, sizeof(name), "%s%s", prefix, answer->value.s);
    if (!icon_name_parse(ret, name, len))
        (void) text_format(ret->s, sizeof(ret->s), "%s", fallback);
}

static void on_guivm(Manager *m, const AdminAnswer *answer, Instant now)
{
    PromptDesk *desk = &m->desk;
    ManagedJob *managed = desk->managed;
    char detail[ADMIN_DETAIL_MAX + 1];
    bool can_ask;

    if (answer->result == ADMIN_UNREACHABLE) {
        desk->managed = NULL;
        managed_apply(m, managed,
                      job_on_prompt_offline(&managed->job, answer->detail,
                                            now.monotonic_usec),
                      now);
        return;
    }
    can_ask = approval_can_ask(&desk->prompt.source, answer, detail);
    if (answer->result == ADMIN_OK)
        (void) text_format(managed->source->prompt_problem,
                           sizeof(managed->source->prompt_problem), "%s",
                           detail);
    if (can_ask) {
        desk_call(desk, DESK_SOURCE_ICON, &desk->prompt.source,
                  ADMIN_PROPERTY_ICON);
        return;
    }
    desk->managed = NULL;
    managed_apply(m, managed,
                  job_on_refused(&managed->job, STATUS_UNAVAILABLE, detail,
                                 now.monotonic_usec),
                  now);
}

bool desk_on_answer(Manager *m,
                    uint64_t call,
                    const AdminAnswer *answer,
                    Instant now)
{
    PromptDesk *desk = &m->desk;
    Prompt *prompt = &desk->prompt;
    bool disposable;

    if (desk->call != call)
        return false;
    desk->call = 0;
    if (!desk->managed)
        return true; /* its job has ended meanwhile */

    switch (desk->step) {
    case DESK_GUIVM:
        on_guivm(m, answer, now);
        break;
    case DESK_SOURCE_ICON:
        take_icon(&prompt->source_icon, answer, "", QUBE_ICON);
        desk_ask_target_icon(desk);
        break;
    case DESK_TARGET_ICON:
        disposable = prompt->targets[desk->index].kind == TARGET_DISPVM;
        take_icon(&prompt->icons[desk->index], answer,
                  disposable ? DISPOSABLE_PREFIX : "",
                  disposable ? DISPOSABLE_ICON : QUBE_ICON);
        desk->index++;
        desk_ask_target_icon(desk);
        break;
    case DESK_READY:
        break;
    }
    return true;
}

bool manager_next_prompt(Manager *m,
                         uint64_t *ret_id,
                         Prompt *ret_prompt,
                         Instant now)
{
    PromptDesk *desk = &m->desk;
    ManagedJob *managed = desk->managed;
    Window *window = desk_find_window(desk, 0);
    const Job *job;

    if (!managed || desk->step != DESK_READY || !window)
        return false;

    job = &managed->job;
    *window = (Window){
        .id = ++m->last_call,
        .managed = managed,
        .opened_usec = now.monotonic_usec,
        .source = job->task.source,
        .class = job->task.class,
        .device = job->task.device,
        .plug = managed->device->plug,
        .identity = job->identity,
        .ruleset = ruleset_ref(managed->ruleset),
        .rule = managed->rule,
        .default_dispvm = job->default_dispvm,
        .n_choices = desk->prompt.n_targets,
    };
    memcpy(window->choices, desk->choices, sizeof(window->choices));
    managed->source->prompted = window->id;
    *ret_id = window->id;
    *ret_prompt = desk->prompt;

    desk->managed = NULL;
    managed_apply(m, managed,
                  job_on_prompt_open(&managed->job,
                                     now.monotonic_usec +
                                         managed->rule->options.timeout_usec,
                                     now.monotonic_usec),
                  now);
    return true;
}

void desk_on_no_agent(Manager *m, ManagedJob *managed, Instant now)
{
    PromptDesk *desk = &m->desk;

    desk->no_agent = true;
    desk->retry_usec = now.monotonic_usec + desk->backoff_usec;
    desk->backoff_usec *= 2;
    if (desk->backoff_usec > MANAGER_AGENT_MAX_USEC)
        desk->backoff_usec = MANAGER_AGENT_MAX_USEC;
    if (managed)
        managed_apply(m, managed,
                      job_on_prompt_lost(&managed->job, now.monotonic_usec),
                      now);
}

void manager_on_agent(Manager *m, Instant now)
{
    PromptDesk *desk = &m->desk;

    desk->retry_usec = 0;
    desk->backoff_usec = MANAGER_AGENT_USEC;
    manager_settle(m, now);
}
