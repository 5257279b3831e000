/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>

#include "common/text.h"
#include "dom0/ctl/outcome-text.h"
#include "dom0/ctl/status-attention.h"
#include "dom0/ctl/status-view.h"
#include "dom0/ctl/view.h"

/* rows of the tables on a screen, and lines that what follows is left */
#define ATTACHED_SHOWN   6U
#define ATTACHED_RESERVE 9U
#define JOBS_SHOWN       4U
#define JOBS_RESERVE     6U
#define AGE_COLUMNS      11U /* "23 min ago", "just now" */

static bool policy_answers(const json_t *status)
{
    const json_t *policy = json_object_get(status, "policy");

    return !member_is(policy, "state", "unreachable") &&
           !member_is(policy, "state", "timeout") &&
           !member_is(policy, "state", "silent");
}

static void view_headline(View *view, const json_t *status)
{
    const json_t *rules = json_object_get(status, "rules");
    const json_t *qubesd = json_object_get(status, "qubesd");
    uint64_t n_rules = member_number(rules, "n_rules");
    ShowText count;

    show_count(&count, n_rules, "rule");
    if (member_is(qubesd, "state", "unsupported"))
        view_print(view, STYLE_BAD, 0, 0,
                   "Not working: this release of Qubes OS is not supported");
    else if (!member_is(qubesd, "state", "connected"))
        view_print(view, STYLE_BAD, 0, 0,
                   "Not working: qubesd cannot be reached");
    else if (!policy_answers(status))
        view_print(view, STYLE_BAD, 0, 0,
                   "Not working: the policy daemon did not answer");
    else if (n_rules == 0 && member_flag(rules, "failed"))
        view_print(view, STYLE_BAD, 0, 0,
                   "Not working: the rules have errors, none are in force");
    else if (n_rules == 0)
        view_print(view, STYLE_WARNING, 0, 0,
                   "Working, but there are no rules: nothing is attached");
    else if (json_is_object(json_object_get(status, "pause")))
        view_print(view, STYLE_WARNING, 0, 0, "Paused: nothing is attached");
    else if (member_flag(rules, "failed"))
        view_print(view, STYLE_WARNING, 0, 0,
                   "Working with the old rules (%s): the new ones have errors",
                   count.s);
    else
        view_print(view, STYLE_GOOD, 0, 0, "Working, with %s in force",
                   count.s);
}

static void view_daemon(View *view, const json_t *status)
{
    const json_t *daemon = json_object_get(status, "daemon");
    uint64_t memory = member_number(daemon, "memory_bytes");
    ShowText version, span, bytes;

    view_shown(view, &version, daemon, "version");
    show_span(&span, member_number(daemon, "uptime_usec"));
    show_bytes(&bytes, memory);
    view_print(view, STYLE_FAINT, 0, 0,
               "qubes-autoattachd %s, up %s, pid %" PRIu64 "%s%s", version.s,
               span.s, member_number(daemon, "pid"), memory ? ", " : "",
               memory ? bytes.s : "");
}

static const char *forwarder_word(const json_t *status, const json_t *source)
{
    const char *name = member_text(source, "name");
    const json_t *refused;
    size_t index;

    if (member_flag(source, "forwarder"))
        return "connected";
    json_array_foreach(json_object_get(status, "refused"), index, refused)
    {
        if (member_is(refused, "source", name))
            return "not understood";
    }
    return member_number(source, "n_connections") > 0 ? "no picture yet"
                                                      : "missing";
}

/* On a screen: all in one line, and no more than that. */
static void view_sources_line(View *view, const json_t *sources)
{
    char line[2 * SHOW_TEXT_MAX];
    const json_t *source;
    size_t index, len, fit;

    if (json_array_size(sources) == 0)
        return;
    len = text_format(line, sizeof(line), "sources:");
    json_array_foreach(sources, index, source)
    {
        ShowText devices;
        Cell name;

        show_count(&devices, member_number(source, "n_devices"), "device");
        len += text_format(line + len, sizeof(line) - len, "%s %s (%s)",
                           index > 0 ? "," : "",
                           view_cell(view, &name, source, "name"), devices.s);
    }
    fit = show_fit(line, view->screen.terminal->columns - 3);
    view_print(view, STYLE_FAINT, 0, 0, "%.*s%s", (int) fit, line,
               line[fit] ? "..." : "");
}

static void view_sources_table(View *view, const json_t *status)
{
    const json_t *sources = json_object_get(status, "sources");
    size_t n = json_array_size(sources);
    size_t n_rows = n < VIEW_ROWS_MAX ? n : VIEW_ROWS_MAX;
    Cell cells[VIEW_ROWS_MAX][3];
    ScreenRow rows[VIEW_ROWS_MAX + 1] = { { "QUBE", "FORWARDER", "DEVICES",
                                            "JOBS" } };

    if (n == 0)
        return;
    view_heading(view, "Sources");
    for (size_t i = 0; i < n_rows; i++) {
        const json_t *source = json_array_get(sources, i);

        rows[i + 1][0] = view_cell(view, &cells[i][0], source, "name");
        rows[i + 1][1] = forwarder_word(status, source);
        rows[i + 1][2] = view_count(&cells[i][1], source, "n_devices");
        rows[i + 1][3] = view_count(&cells[i][2], source, "n_jobs");
    }
    screen_table(&view->screen, VIEW_INDENT, 4, rows, n_rows + 1);
}

/* How many of a section's rows to show on a screen. */
static size_t rows_to_show(const View *view,
                           size_t n,
                           size_t shown_max,
                           size_t reserve)
{
    if (n > VIEW_ROWS_MAX)
        n = VIEW_ROWS_MAX;
    if (view->screen.has_end && n > shown_max)
        n = shown_max;
    return screen_rows_for(&view->screen, n, reserve);
}

/* Begin a section of a table, or say that it has no room here. */
static bool section(View *view, const char *title, size_t n, size_t n_rows)
{
    if (n_rows > 0)
        view_heading(view, title);
    else if (n > 0)
        view_print(view, STYLE_STRONG, 0, VIEW_INDENT, "%s: %zu, with -v",
                   title, n);
    return n_rows > 0;
}

static void view_attached(View *view, const json_t *status)
{
    const json_t *list = json_object_get(status, "attached");
    size_t n = json_array_size(list);
    size_t n_all = (size_t) member_number(status, "n_attached");
    size_t n_rows = rows_to_show(view, n, ATTACHED_SHOWN, ATTACHED_RESERVE);
    Cell cells[VIEW_ROWS_MAX][4];
    ScreenRow rows[VIEW_ROWS_MAX + 1] = { { "DEVICE", "TO", "BY RULE",
                                            "NAME" } };

    if (!section(view, "Attached", n_all, n_rows))
        return;
    for (size_t i = 0; i < n_rows; i++) {
        const json_t *device = json_array_get(list, i);

        rows[i + 1][0] = view_device(view, &cells[i][0], device);
        rows[i + 1][1] = view_cell(view, &cells[i][1], device, "target");
        rows[i + 1][2] = view_cell(view, &cells[i][2], device, "rule");
        if (rows[i + 1][2][0] == '\0')
            rows[i + 1][2] = "(none)";
        rows[i + 1][3] = view_words(view, &cells[i][3], device, "label");
    }
    screen_table(&view->screen, VIEW_INDENT, 4, rows, n_rows + 1);
    screen_more(&view->screen, n_all > n_rows ? n_all - n_rows : 0,
                VIEW_INDENT);
}

static void view_jobs(View *view, const json_t *status)
{
    const json_t *jobs = json_object_get(status, "jobs");
    size_t n = json_array_size(jobs);
    size_t n_rows = rows_to_show(view, n, JOBS_SHOWN, JOBS_RESERVE);
    size_t n_all = (size_t) member_number(status, "n_jobs");
    Cell cells[VIEW_ROWS_MAX][5];
    ScreenRow rows[VIEW_ROWS_MAX + 1] = { { "DEVICE", "STATE", "RULE", "TARGET",
                                            "SINCE" } };

    if (!section(view, "In work", n_all, n_rows))
        return;
    for (size_t i = 0; i < n_rows; i++) {
        const json_t *job = json_array_get(jobs, i);
        ShowText span;
        Cell *cell = cells[i];

        show_span(&span, member_number(job, "age_usec"));
        (void) text_format(cell[4].s, sizeof(cell[4].s), "%s", span.s);
        rows[i + 1][0] = view_device(view, &cell[0], job);
        rows[i + 1][1] = view_cell(view, &cell[1], job, "state");
        rows[i + 1][2] = view_cell(view, &cell[2], job, "rule");
        rows[i + 1][3] = view_cell(view, &cell[3], job, "target");
        rows[i + 1][4] = cell[4].s;
    }
    screen_table(&view->screen, VIEW_INDENT, 5, rows, n_rows + 1);
    screen_more(&view->screen, n_all > n_rows ? n_all - n_rows : 0,
                VIEW_INDENT);
}

/* Print one outcome if it fits, and answer whether it did. */
static bool view_outcome(View *view, const json_t *outcome)
{
    Screen *screen = &view->screen;
    const size_t hang = VIEW_INDENT + AGE_COLUMNS;
    char text[2 * SHOW_TEXT_MAX];
    size_t len, height;
    ShowText age, detail;

    show_age(&age, view->now_usec, member_number(outcome, "time_usec"));
    len = text_format(text, sizeof(text), "%-*s", (int) AGE_COLUMNS, age.s);
    outcome_text(view, text + len, sizeof(text) - len, outcome);
    view_shown(view, &detail, outcome, "detail");

    height = screen_height(screen, VIEW_INDENT, hang, text);
    if (detail.s[0])
        height += screen_height(screen, hang, hang + VIEW_INDENT, detail.s);
    if (height > screen_left(screen))
        return false;

    screen_text(screen, outcome_style(outcome), VIEW_INDENT, hang, text);
    if (detail.s[0])
        screen_text(screen, STYLE_FAINT, hang, hang + VIEW_INDENT, detail.s);
    return true;
}

/* The newest first: that is what one looks for. */
static void view_outcomes(View *view, const json_t *status)
{
    const json_t *outcomes = json_object_get(status, "outcomes");
    size_t n = json_array_size(outcomes);

    if (screen_left(&view->screen) < 2)
        return;
    view_heading(view,
                 n > 0 ? "Last outcomes, newest first" : "No outcomes yet");
    while (n > 0 && view_outcome(view, json_array_get(outcomes, n - 1)))
        n--;
}

void status_view(const Terminal *terminal,
                 const json_t *status,
                 ViewDetail detail)
{
    const json_t *sources = json_object_get(status, "sources");
    View view;

    view_init(&view, terminal, member_number(status, "now_usec"),
              detail != VIEW_SCREEN);
    if (detail == VIEW_ATTENTION) {
        status_attention(&view, status, true);
        return;
    }

    view_headline(&view, status);
    view_daemon(&view, status);
    if (view.screen.has_end)
        view_sources_line(&view, sources);
    status_attention(&view, status, false);
    view_attached(&view, status);
    view_jobs(&view, status);
    view_outcomes(&view, status);
    if (!view.screen.has_end)
        view_sources_table(&view, status);
}
