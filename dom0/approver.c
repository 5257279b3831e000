/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>

#include "dom0/approver.h"
#include "dom0/io/policy-call.h"
#include "dom0/io/prompt-call.h"

/* the agent's socket appears, or its mode changes */
#define WATCH_MASK (IN_CREATE | IN_MOVED_TO | IN_ATTRIB)

/* One call: either @policy or @prompt is set. */
typedef struct Errand {
    struct Errand *next;
    Approver *approver;
    uint64_t id; /* 0: a notification */
    PolicyCall *policy;
    PromptCall *prompt;
} Errand;

struct Approver {
    sd_event *event;
    sd_event_source *watch; /* of the agent's folder; NULL if it is not there */
    ApproverPaths paths;
    char *agent_folder;
    const char *agent_name; /* in paths.agent_socket */
    const ApproverHooks *hooks;
    void *userdata;
    Errand *errands;
};

static void errand_free(Errand *errand)
{
    Errand **link = &errand->approver->errands;

    while (*link != errand) {
        link = &(*link)->next;
        assert(*link);
    }
    *link = errand->next;
    policy_call_free(errand->policy);
    prompt_call_free(errand->prompt);
    free(errand);
}

static Errand *errand_new(Approver *approver, uint64_t id)
{
    Errand *errand = calloc(1, sizeof(*errand));

    if (!errand)
        return NULL;

    errand->approver = approver;
    errand->id = id;
    errand->next = approver->errands;
    approver->errands = errand;
    return errand;
}

static int on_folder(sd_event_source *source,
                     const struct inotify_event *inotify,
                     void *userdata)
{
    Approver *approver = userdata;

    if (inotify->mask & IN_IGNORED)
        approver->watch = sd_event_source_disable_unref(source);
    else if ((inotify->mask & IN_Q_OVERFLOW) ||
             (inotify->len > 0 &&
              strcmp(inotify->name, approver->agent_name) == 0))
        /* in what was lost, it may have appeared */
        approver->hooks->on_agent(approver->userdata);
    return 0;
}

/* Watch the folder of the agent's socket. While there is none, the manager's
 * timer alone finds out that an agent has come. */
static void approver_watch(Approver *approver)
{
    if (!approver->watch)
        (void) sd_event_add_inotify(
            approver->event, &approver->watch, approver->agent_folder,
            WATCH_MASK | IN_ONLYDIR, on_folder, approver);
}

/* A path unit of systemd makes the agent's socket writable for us when it
 * appears, but overlooks one that appears while it still runs for the one
 * before. It watches this file, too. */
static void approver_tell_refused(const Approver *approver)
{
    if (approver_is_refused(approver))
        (void) fd_close(open(approver->paths.refused_file,
                             O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                             0600));
}

static void on_verdict(PolicyCall *call, PolicyAnswer answer, void *userdata)
{
    Errand *errand = userdata;
    Approver *approver = errand->approver;
    uint64_t id = errand->id;

    (void) call;

    errand_free(errand);
    approver->hooks->on_verdict(id, answer, approver->userdata);
}

static void on_prompt(PromptCall *call,
                      const PromptAnswer *answer,
                      void *userdata)
{
    Errand *errand = userdata;
    Approver *approver = errand->approver;
    PromptAnswer kept = *answer;
    uint64_t id = errand->id;

    (void) call;

    errand_free(errand);
    if (kept.result == PROMPT_NO_AGENT) {
        approver_watch(approver);
        approver_tell_refused(approver);
    }
    if (id != 0)
        approver->hooks->on_prompt(id, &kept, approver->userdata);
}

bool approver_is_refused(const Approver *approver)
{
    return faccessat(AT_FDCWD, approver->paths.agent_socket, W_OK, AT_EACCESS) <
               0 &&
           errno == EACCES;
}

int approver_judge(Approver *approver,
                   uint64_t id,
                   const PolicyQuestion *question)
{
    Errand *errand = errand_new(approver, id);
    int r;

    if (!errand)
        return -ENOMEM;
    r = policy_call_new(&errand->policy, approver->event,
                        approver->paths.policy_socket, question, on_verdict,
                        errand);
    if (r < 0)
        errand_free(errand);
    return r;
}

int approver_prompt(Approver *approver, uint64_t id, const Prompt *prompt)
{
    Errand *errand = errand_new(approver, id);
    int r;

    if (!errand)
        return -ENOMEM;
    r = prompt_call_new(&errand->prompt, approver->event,
                        approver->paths.agent_socket, prompt, on_prompt,
                        errand);
    if (r < 0)
        errand_free(errand);
    return r;
}

void approver_notify(Approver *approver, const Notification *notification)
{
    Errand *errand = errand_new(approver, 0);

    if (errand && prompt_call_notify(&errand->prompt, approver->event,
                                     approver->paths.agent_socket, notification,
                                     on_prompt, errand) < 0)
        errand_free(errand);
}

int approver_new(Approver **ret,
                 sd_event *event,
                 const ApproverPaths *paths,
                 const ApproverHooks *hooks,
                 void *userdata)
{
    _cleanup_(approver_freep) Approver *approver = calloc(1, sizeof(*approver));
    const char *agent = paths->agent_socket;
    const char *slash = strrchr(agent, '/');

    if (!approver)
        return -ENOMEM;

    approver->event = sd_event_ref(event);
    approver->paths = *paths;
    approver->agent_name = slash ? slash + 1 : agent;
    approver->hooks = hooks;
    approver->userdata = userdata;
    approver->agent_folder =
        slash ? strndup(agent, slash > agent ? (size_t) (slash - agent) : 1)
              : strdup(".");
    if (!approver->agent_folder)
        return -ENOMEM;
    approver_watch(approver);

    *ret = TAKE_PTR(approver);
    return 0;
}

Approver *approver_free(Approver *approver)
{
    if (!approver)
        return NULL;

    while (approver->errands)
        errand_free(approver->errands);
    sd_event_source_disable_unref(approver->watch);
    sd_event_unref(approver->event);
    free(approver->agent_folder);
    free(approver);
    return NULL;
}
