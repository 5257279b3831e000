/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/report.h"
#include "dom0/ctl/errors-view.h"
#include "dom0/ctl/passed-over.h"
#include "dom0/ctl/rules-folder.h"
#include "dom0/ctl/status-attention.h"

#define NAMES_SHOWN 3U

/* all sources there can be, and those of rules or of outcomes */
#define NAMES_MAX (REPORT_SOURCES_MAX + REPORT_NAMED_MAX + REPORT_OUTCOMES_MAX)

typedef struct Attention {
    View *view;
    const json_t *status;
    bool has_begun; /* the heading was printed, or is not wanted */
} Attention;

/* Names of qubes, each once; borrowed. */
typedef struct Names {
    const char *s[NAMES_MAX];
    size_t n;
} Names;

/* One thing that needs the person. */
#define TELL(att, style, ...)                                        \
    do {                                                             \
        attention_begin(att);                                        \
        view_print((att)->view, style, VIEW_INDENT, 2 * VIEW_INDENT, \
                   __VA_ARGS__);                                     \
    } while (0)

static void attention_begin(Attention *att)
{
    if (!att->has_begun)
        view_heading(att->view, "Needs attention");
    att->has_begun = true;
}

static bool is_old_release(const Attention *att)
{
    return member_is(json_object_get(att->status, "qubesd"), "state",
                     "unsupported");
}

static void attention_qubesd(Attention *att)
{
    const json_t *qubesd = json_object_get(att->status, "qubesd");
    ShowText detail;

    if (member_is(qubesd, "state", "connected"))
        return;
    if (is_old_release(att)) {
        TELL(att, STYLE_BAD,
             "qubesd is of a release before Qubes OS R4.3, which is not "
             "supported; nothing is attached");
        return;
    }

    view_shown(att->view, &detail, qubesd, "detail");
    TELL(att, STYLE_BAD,
         "qubesd does not answer%s%s; nothing is attached until it does",
         detail.s[0] ? ": " : "", detail.s);
}

static void attention_policy(Attention *att)
{
    const json_t *policy = json_object_get(att->status, "policy");
    const char *trouble;
    ShowText age;

    if (member_is(policy, "state", "unreachable"))
        trouble = "cannot be reached";
    else if (member_is(policy, "state", "timeout"))
        trouble = "did not answer in time";
    else if (member_is(policy, "state", "silent"))
        trouble = "gave no answer";
    else
        return;
    show_age(&age, att->view->now_usec, member_number(policy, "asked_usec"));
    TELL(att, STYLE_BAD,
         "the policy daemon %s (asked %s); nothing is attached without it; "
         "look at: systemctl status qubes-qrexec-policy-daemon; once it "
         "answers, the daemon goes on by itself with what was not attached",
         trouble, age.s);
}

static void attention_rules(Attention *att)
{
    const json_t *rules = json_object_get(att->status, "rules");
    ShowText directory, errors, warnings, age;

    view_shown(att->view, &directory, rules, "directory");
    show_count(&errors, member_number(rules, "n_errors"), "error");
    show_count(&warnings, member_number(rules, "n_warnings"), "warning");
    show_age(&age, att->view->now_usec, member_number(rules, "loaded_usec"));

    if (member_flag(rules, "missing"))
        TELL(att, STYLE_BAD,
             "the rules folder %s does not exist, nothing is attached; to make "
             "it: " RULES_FOLDER_MAKE " %s",
             directory.s, directory.s);
    else if (member_flag(rules, "failed") &&
             member_number(rules, "loaded_usec") > 0)
        TELL(att, STYLE_BAD, "%s in %s; the rules loaded %s stay in force",
             errors.s, directory.s, age.s);
    else if (member_flag(rules, "failed"))
        TELL(att, STYLE_BAD, "%s in %s; no rules are in force", errors.s,
             directory.s);
    else if (member_number(rules, "n_warnings") > 0)
        TELL(att, STYLE_WARNING, "%s in %s", warnings.s, directory.s);
    else if (member_number(rules, "n_rules") == 0)
        TELL(att, STYLE_WARNING,
             "there are no rules in %s; to write one for a device that is "
             "plugged in: qvm-autoattach add --help",
             directory.s);
    else
        return;
    errors_view(att->view, rules, 2 * VIEW_INDENT);
    passed_over_view(att->view, json_object_get(rules, "passed_over"),
                     2 * VIEW_INDENT);
}

/* Windows of before the daemon was restarted. */
static void attention_lost_prompts(Attention *att, const json_t *prompts)
{
    uint64_t n_waiting = member_number(prompts, "n_waiting");
    ShowText lost, waiting, span;

    if (member_number(prompts, "n_lost") == 0)
        return;
    show_count(&lost, member_number(prompts, "n_lost"), "prompt");
    show_count(&waiting, n_waiting, "prompt");
    show_span(&span, member_number(prompts, "lost_usec"));
    if (n_waiting > 0)
        TELL(att, STYLE_WARNING,
             "%s of before the daemon's restart may be on the screen: close "
             "it, an answer to it counts for nothing; %s to be shown in %s",
             lost.s, waiting.s, span.s);
    else
        TELL(att, STYLE_WARNING,
             "%s of before the daemon's restart may be on the screen: close "
             "it, an answer to it counts for nothing",
             lost.s);
}

static void attention_prompts(Attention *att)
{
    const json_t *prompts = json_object_get(att->status, "prompts");
    uint64_t n_open = member_number(prompts, "n_open");
    uint64_t n_waiting = member_number(prompts, "n_waiting");
    char more[48] = "";
    ShowText count;

    attention_lost_prompts(att, prompts);
    if (n_open > 0) {
        show_count(&count, n_open, "prompt");
        if (n_waiting > 0)
            (void) text_format(more, sizeof(more), "; %" PRIu64 " more wait",
                               n_waiting);
        TELL(att, STYLE_WARNING, "%s on the screen, to be answered%s", count.s,
             more);
    } else if (member_flag(prompts, "agent_refused")) {
        show_count(&count, n_waiting, "prompt");
        TELL(att, STYLE_BAD,
             "%s to be shown, but the daemon may not write to the policy "
             "agent's socket; look at: systemctl status "
             "qubes-autoattachd-agent.path",
             count.s);
    } else if (member_flag(prompts, "no_agent")) {
        show_count(&count, n_waiting, "prompt");
        TELL(att, STYLE_WARNING, "%s to be shown as soon as you log in",
             count.s);
    }
}

/* Sources about whose devices the person is not asked. */
static void attention_unasked(Attention *att)
{
    const json_t *sources = json_object_get(att->status, "sources"), *source;
    size_t index;

    json_array_foreach(sources, index, source)
    {
        uint64_t quiet_usec = member_number(source, "quiet_usec");
        ShowText span, problem;
        Cell name;

        view_shown(att->view, &problem, source, "prompt_problem");
        if (problem.s[0])
            TELL(att, STYLE_BAD, "%s; rules that ask attach nothing from there",
                 problem.s);
        if (quiet_usec == 0)
            continue;
        show_span(&span, quiet_usec);
        TELL(att, STYLE_WARNING,
             "you said no to %s several times: its prompts are silenced "
             "for %s",
             view_cell(att->view, &name, source, "name"), span.s);
    }
}

/* Sources that tell of more devices than anybody plugs in. */
static void attention_full(Attention *att)
{
    const json_t *sources = json_object_get(att->status, "sources"), *source;
    size_t index;

    json_array_foreach(sources, index, source)
    {
        ShowText count;
        Cell name;

        if (!member_flag(source, "full"))
            continue;
        show_count(&count, member_number(source, "n_devices"), "device");
        TELL(att, STYLE_BAD,
             "%s tells of %s, and no more are taken: what is plugged in there "
             "now is not attached; look at them with: qvm-autoattach devices; "
             "if these are not real, something is wrong in that qube: restart "
             "it",
             view_cell(att->view, &name, source, "name"), count.s);
    }
}

/* The usual one, where nothing tells of another. */
static const char usb_qube[] = "sys-usb";

static bool names_have(const Names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->s[i], name) == 0)
            return true;
    return false;
}

static void names_add(Names *names, const char *name)
{
    if (name && name[0] && !names_have(names, name) && names->n < NAMES_MAX)
        names->s[names->n++] = name;
}

/* "a, b and c"; of more than NAMES_SHOWN the last is how many more there are */
static const char *names_show(const Names *names,
                              const View *view,
                              ShowText *ret)
{
    size_t n = names->n < NAMES_SHOWN ? names->n : NAMES_SHOWN;
    size_t len = 0;

    ret->s[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const char *before = i + 1 == names->n ? " and " : ", ";
        ShowText name;

        len += text_format(ret->s + len, sizeof(ret->s) - len, "%s%s",
                           i == 0 ? "" : before,
                           show_text(&name, names->s[i], view->utf8));
    }
    if (names->n > n)
        (void) text_format(ret->s + len, sizeof(ret->s) - len, " and %zu more",
                           names->n - n);
    return ret->s;
}

/* The sources that have no forwarder. */
static Names find_silent(const json_t *status)
{
    const json_t *sources = json_object_get(status, "sources"), *item;
    Names names = {};
    size_t index;

    json_array_foreach(sources, index, item)
    {
        if (!member_flag(item, "forwarder") &&
            member_number(item, "n_connections") == 0)
            names_add(&names, member_text(item, "name"));
    }
    return names;
}

/* What is no source, but should be: the qubes that rules name as one, and, if
 * there is no source at all, those that outcomes tell of. */
static Names find_unseen(const json_t *status)
{
    const json_t *sources = json_object_get(status, "sources"), *item;
    const json_t *rules = json_object_get(status, "rules");
    Names seen = {}, names = {};
    size_t index;

    json_array_foreach(sources, index, item)
    {
        names_add(&seen, member_text(item, "name"));
    }
    json_array_foreach(json_object_get(rules, "sources"), index, item)
    {
        const char *name = json_string_value(item);

        if (name && !names_have(&seen, name))
            names_add(&names, name);
    }
    if (seen.n > 0)
        return names;

    json_array_foreach(json_object_get(status, "outcomes"), index, item)
    {
        names_add(&names, member_text(item, "source"));
    }
    if (names.n == 0)
        names_add(&names, usb_qube);
    return names;
}

/* What qubesd says of the qube: NULL if there is none, or that is not known. */
static const json_t *find_qube(const json_t *status, const char *name)
{
    const json_t *qube;
    size_t index;

    json_array_foreach(json_object_get(status, "qubes"), index, qube)
    {
        if (member_is(qube, "name", name))
            return qube;
    }
    return NULL;
}

static bool is_off(const json_t *qube)
{
    return member_is(qube, "state", "halted") ||
           member_is(qube, "state", "halting") ||
           member_is(qube, "state", "dying") ||
           member_is(qube, "state", "crashed");
}

/* That of the qube; NULL if there is none. */
static const json_t *find_refused(const json_t *status, const char *name)
{
    const json_t *refused;
    size_t index;

    json_array_foreach(json_object_get(status, "refused"), index, refused)
    {
        if (member_is(refused, "source", name))
            return refused;
    }
    return NULL;
}

/* Sort out whose devices are not seen. Who is no qube does not come into it,
 * nor does a forwarder that is not understood. */
static void sort_out(const json_t *status,
                     const Names *names,
                     Names *off,
                     Names *missing)
{
    const bool qubes_known = json_object_get(status, "qubes") != NULL;

    for (size_t i = 0; i < names->n; i++) {
        const json_t *qube = find_qube(status, names->s[i]);

        if (is_off(qube))
            names_add(off, names->s[i]);
        else if (!find_refused(status, names->s[i]) && (qube || !qubes_known))
            names_add(missing, names->s[i]);
    }
}

/* The newest one whose qube may be there, and how many more there are. */
static void attention_refused(Attention *att)
{
    const json_t *list = json_object_get(att->status, "refused");
    const json_t *newest = NULL, *refused;
    const bool qubes_known = json_object_get(att->status, "qubes") != NULL;
    ShowText version;
    Cell name, agent;
    char more[32] = "";
    size_t n = 0, index;

    json_array_foreach(list, index, refused)
    {
        const json_t *qube =
            find_qube(att->status, member_text(refused, "source"));

        if (is_off(qube) || (!qube && qubes_known))
            continue;
        newest = refused;
        n++;
    }
    if (!newest)
        return;
    if (n > 1)
        (void) text_format(more, sizeof(more), " and of %zu more", n - 1);
    view_words(att->view, &agent, newest, "agent");
    TELL(att, STYLE_BAD,
         "dom0 (%s) does not understand the forwarder of %s (%s%s%" PRIu64
         ")%s: are both packages of one version?",
         view_shown(att->view, &version, json_object_get(att->status, "daemon"),
                    "version"),
         view_cell(att->view, &name, newest, "source"), agent.s,
         agent.s[0] ? ", " : "", member_number(newest, "code"), more);
}

static void attention_sources(Attention *att)
{
    const Names silent = find_silent(att->status);
    const Names unseen = find_unseen(att->status);
    Names off = {}, mute = {}, unheard = {};
    ShowText shown;

    sort_out(att->status, &silent, &off, &mute);
    sort_out(att->status, &unseen, &off, &unheard);
    if (json_array_size(json_object_get(att->status, "sources")) == 0 &&
        json_array_size(json_object_get(att->status, "refused")) == 0 &&
        off.n == 0 && unheard.n == 0)
        names_add(&unheard, usb_qube);

    if (off.n > 0)
        TELL(att, STYLE_WARNING,
             "%s %s not running; what is plugged in there is not seen",
             names_show(&off, att->view, &shown), off.n == 1 ? "is" : "are");
    if (mute.n > 0)
        TELL(att, STYLE_WARNING,
             "no forwarder from %s, nothing there is seen; look there: "
             "systemctl status qubes-autoattach-forwarder",
             names_show(&mute, att->view, &shown));
    if (unheard.n > 0)
        TELL(att, STYLE_WARNING,
             "%s %s reported nothing; %s needs the package "
             "qubes-autoattach-vm in its template, in dom0: qvm-service %s "
             "autoattach on, and if it is not called sys-usb, a line in "
             "/etc/qubes/policy.d, see 80-qubes-autoattach.policy there",
             names_show(&unheard, att->view, &shown),
             unheard.n == 1 ? "has" : "have", unheard.n == 1 ? "it" : "each",
             unheard.n == 1 ? shown.s : "QUBE");
}

static void attention_pause(Attention *att)
{
    const json_t *pause = json_object_get(att->status, "pause");
    uint64_t until_usec = member_number(pause, "until_usec");
    ShowText span;

    if (!json_is_object(pause))
        return;
    if (until_usec == 0) {
        TELL(att, STYLE_WARNING,
             "attaching is paused; to go on: qvm-autoattach resume");
        return;
    }
    show_span(&span, until_usec > att->view->now_usec
                         ? until_usec - att->view->now_usec
                         : 0);
    TELL(att, STYLE_WARNING,
         "attaching is paused for another %s; to go on now: qvm-autoattach "
         "resume",
         span.s);
}

void status_attention(View *view, const json_t *status, bool is_bare)
{
    const json_t *daemon = json_object_get(status, "daemon");
    ShowText problem;
    Attention attention = { .view = view,
                            .status = status,
                            .has_begun = is_bare };

    attention_qubesd(&attention);
    attention_policy(&attention);
    attention_rules(&attention);
    attention_pause(&attention);
    attention_prompts(&attention);
    attention_unasked(&attention);
    attention_full(&attention);
    if (member_flag(daemon, "unlimited"))
        TELL(&attention, STYLE_BAD,
             "--unlimited: all rates are off; this is for tests only");
    view_shown(view, &problem, daemon, "state_problem");
    if (problem.s[0])
        TELL(&attention, STYLE_WARNING, "%s", problem.s);
    /* no report of a device would help there */
    if (is_old_release(&attention))
        return;
    attention_refused(&attention);
    attention_sources(&attention);
}
