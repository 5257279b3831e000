/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/status.h"
#include "common/text.h"
#include "dom0/ctl/screen.h"
#include "dom0/ctl/show.h"
#include "dom0/ctl/status-view.h"

#define INDENT 2U

/* rows of the tables, and lines that the sections after them are left */
#define ROWS_MAX        64U
#define SOURCES_RESERVE 10U
#define JOBS_RESERVE    7U
#define SOURCES_SHOWN   4U /* on a screen */
#define JOBS_SHOWN      4U
#define ERRORS_SHOWN    2U /* on a screen; with their lines */
#define NAMES_SHOWN     3U
#define AGE_COLUMNS     11U /* "23 min ago", "just now" */

/* of a name, far more than names of today have */
#define CELL_COLUMNS 60U
#define CELL_MAX     (4 * CELL_COLUMNS)

typedef struct View {
    Screen screen;
    bool utf8;
    bool has_attention; /* its heading was printed */
    bool is_bare;       /* no headings */
    uint64_t now_usec;
    const json_t *status;
} View;

/* Members of JSON objects: "" and 0 for what is not there. */
static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static uint64_t number_of(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));

    return number > 0 ? (uint64_t) number : 0;
}

static bool flag_of(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static bool text_is(const json_t *object, const char *key, const char *text)
{
    return strcmp(text_of(object, key), text) == 0;
}

/* A member's text, safe to print. */
static const char *shown_of(const View *view,
                            ShowText *ret,
                            const json_t *object,
                            const char *key)
{
    return show_text(ret, text_of(object, key), view->utf8);
}

typedef struct Cell {
    char s[CELL_MAX + 1];
} Cell;

/* The same for a name, which goes into a table. */
static const char *cell_of(const View *view,
                           Cell *ret,
                           const json_t *object,
                           const char *key)
{
    ShowText text;

    shown_of(view, &text, object, key);
    (void) text_format(ret->s, sizeof(ret->s), "%.*s",
                       (int) show_fit(text.s, CELL_COLUMNS), text.s);
    return ret->s;
}

_printf_(5, 6) static void print(View *view,
                                 Style style,
                                 size_t indent,
                                 size_t hang,
                                 const char *format,
                                 ...)
{
    char text[2 * SHOW_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void) vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    screen_text(&view->screen, style, indent, hang, text);
}

static void heading(View *view, const char *text)
{
    if (view->is_bare)
        return;
    screen_gap(&view->screen);
    screen_text(&view->screen, STYLE_STRONG, 0, 0, text);
}

/* One thing that needs the person. */
#define ATTENTION(view, style, ...)                          \
    do {                                                     \
        attention_begin(view);                               \
        print(view, style, INDENT, 2 * INDENT, __VA_ARGS__); \
    } while (0)

static void attention_begin(View *view)
{
    if (!view->has_attention)
        heading(view, "Needs attention");
    view->has_attention = true;
}

static void view_headline(View *view)
{
    const json_t *rules = json_object_get(view->status, "rules");
    const json_t *qubesd = json_object_get(view->status, "qubesd");
    uint64_t n_rules = number_of(rules, "n_rules");
    ShowText count;

    show_count(&count, n_rules, "rule");
    if (text_is(qubesd, "state", "unsupported"))
        print(view, STYLE_BAD, 0, 0,
              "Not working: this release of Qubes OS is not supported");
    else if (!text_is(qubesd, "state", "connected"))
        print(view, STYLE_BAD, 0, 0, "Not working: qubesd cannot be reached");
    else if (n_rules == 0)
        print(view, STYLE_WARNING, 0, 0,
              "Working, but there are no rules: nothing is attached");
    else if (flag_of(rules, "failed"))
        print(view, STYLE_WARNING, 0, 0,
              "Working by the old rules (%s); the new ones have errors",
              count.s);
    else
        print(view, STYLE_GOOD, 0, 0, "Working by %s", count.s);
}

static void view_daemon(View *view)
{
    const json_t *daemon = json_object_get(view->status, "daemon");
    uint64_t memory = number_of(daemon, "memory_bytes");
    ShowText version, span, bytes;

    shown_of(view, &version, daemon, "version");
    show_span(&span, number_of(daemon, "uptime_usec"));
    show_bytes(&bytes, memory);
    print(view, STYLE_FAINT, 0, 0,
          "qubes-autoattachd %s, up %s, pid %" PRIu64 "%s%s", version.s, span.s,
          number_of(daemon, "pid"), memory ? ", " : "", memory ? bytes.s : "");
}

static void attention_qubesd(View *view)
{
    const json_t *qubesd = json_object_get(view->status, "qubesd");
    ShowText detail;

    if (text_is(qubesd, "state", "connected"))
        return;

    shown_of(view, &detail, qubesd, "detail");
    ATTENTION(view, STYLE_BAD, "%s%s%s; nothing is attached%s",
              text_is(qubesd, "state", "unsupported")
                  ? "qubesd is of a release before Qubes OS R4.3"
                  : "qubesd does not answer",
              detail.s[0] ? ": " : "", detail.s,
              text_is(qubesd, "state", "unsupported") ? "" : " until it does");
}

/* The place of an error, as FILE:LINE:COLUMN: */
static const char *show_place(const View *view,
                              ShowText *ret,
                              const json_t *error)
{
    uint64_t line = number_of(error, "line");
    uint64_t column = number_of(error, "column");
    size_t len = strlen(shown_of(view, ret, error, "file"));
    char *end = ret->s + len;
    size_t size = sizeof(ret->s) - len;

    if (line > 0 && column > 0)
        (void) text_format(end, size, ":%" PRIu64 ":%" PRIu64 ":", line,
                           column);
    else if (line > 0)
        (void) text_format(end, size, ":%" PRIu64 ":", line);
    else
        (void) text_format(end, size, ":");
    return ret->s;
}

/* The line and a caret, where both fit as they are. */
static void view_source_line(View *view, const json_t *error)
{
    const size_t indent = 3 * INDENT;
    uint64_t caret = number_of(error, "caret");
    ShowText line;

    shown_of(view, &line, error, "source_line");
    if (line.s[0] == '\0' ||
        screen_height(&view->screen, indent, indent, line.s) != 1)
        return;
    print(view, STYLE_FAINT, indent, indent, "%s", line.s);
    if (caret > 0 && caret <= show_width(line.s) + 1)
        print(view, STYLE_WARNING, indent + (size_t) caret - 1, indent, "^");
}

static void view_errors(View *view, const json_t *rules)
{
    const json_t *errors = json_object_get(rules, "errors");
    size_t n = json_array_size(errors);
    uint64_t n_all =
        number_of(rules, "n_errors") + number_of(rules, "n_warnings");
    size_t n_shown = n;

    if (view->screen.has_end && n_shown > ERRORS_SHOWN)
        n_shown = ERRORS_SHOWN;
    for (size_t i = 0; i < n_shown; i++) {
        const json_t *error = json_array_get(errors, i);
        bool is_warning = text_is(error, "level", "warning");
        ShowText place, message;

        show_place(view, &place, error);
        shown_of(view, &message, error, "message");
        print(view, STYLE_PLAIN, 2 * INDENT, 3 * INDENT, "%s %s%s", place.s,
              is_warning ? "warning: " : "", message.s);
        view_source_line(view, error);
    }
    if (n_all > n_shown)
        print(view, STYLE_FAINT, 2 * INDENT, 3 * INDENT,
              "and %" PRIu64 " more: qvm-autoattach check", n_all - n_shown);
}

static void attention_rules(View *view)
{
    const json_t *rules = json_object_get(view->status, "rules");
    ShowText directory, errors, warnings, age;

    shown_of(view, &directory, rules, "directory");
    show_count(&errors, number_of(rules, "n_errors"), "error");
    show_count(&warnings, number_of(rules, "n_warnings"), "warning");
    show_age(&age, view->now_usec, number_of(rules, "loaded_usec"));

    if (flag_of(rules, "missing"))
        ATTENTION(view, STYLE_BAD,
                  "the rules folder %s does not exist; nothing is attached",
                  directory.s);
    else if (flag_of(rules, "failed") && number_of(rules, "loaded_usec") > 0)
        ATTENTION(view, STYLE_BAD,
                  "%s in %s; the rules loaded %s stay in force", errors.s,
                  directory.s, age.s);
    else if (flag_of(rules, "failed"))
        ATTENTION(view, STYLE_BAD, "%s in %s; no rules are in force", errors.s,
                  directory.s);
    else if (number_of(rules, "n_warnings") > 0)
        ATTENTION(view, STYLE_WARNING, "%s in %s", warnings.s, directory.s);
    else if (number_of(rules, "n_rules") == 0)
        ATTENTION(view, STYLE_WARNING, "there are no rules in %s", directory.s);
    else
        return;
    view_errors(view, rules);
}

static void attention_prompts(View *view)
{
    const json_t *prompts = json_object_get(view->status, "prompts");
    const json_t *sources = json_object_get(view->status, "sources");
    uint64_t n_open = number_of(prompts, "n_open");
    uint64_t n_waiting = number_of(prompts, "n_waiting");
    const json_t *source;
    ShowText count;
    size_t index;

    if (n_open > 0) {
        show_count(&count, n_open, "prompt");
        ATTENTION(view, STYLE_WARNING,
                  "%s on the screen; %" PRIu64 " more wait", count.s,
                  n_waiting);
    } else if (flag_of(prompts, "no_agent")) {
        show_count(&count, n_waiting, "prompt");
        ATTENTION(view, STYLE_WARNING, "%s to be shown as soon as you log in",
                  count.s);
    }

    json_array_foreach(sources, index, source)
    {
        uint64_t quiet_usec = number_of(source, "quiet_usec");
        ShowText span;
        Cell name;

        if (quiet_usec == 0)
            continue;
        show_span(&span, quiet_usec);
        ATTENTION(view, STYLE_WARNING,
                  "you said no to %s several times: its prompts are silenced "
                  "for %s",
                  cell_of(view, &name, source, "name"), span.s);
    }
}

/* Sources without a forwarder, in one sentence for all. */
static void attention_forwarders(View *view)
{
    const json_t *sources = json_object_get(view->status, "sources");
    char names[NAMES_SHOWN * (CELL_MAX + 2)] = "", more[32] = "";
    size_t index, n = 0, len = 0;
    const json_t *source;

    json_array_foreach(sources, index, source)
    {
        Cell name;

        if (flag_of(source, "forwarder") ||
            number_of(source, "n_connections") > 0)
            continue;
        if (n++ < NAMES_SHOWN)
            len += text_format(names + len, sizeof(names) - len, "%s%s",
                               n > 1 ? ", " : "",
                               cell_of(view, &name, source, "name"));
    }
    if (n > NAMES_SHOWN)
        (void) text_format(more, sizeof(more), " and %zu more",
                           n - NAMES_SHOWN);

    if (json_array_size(sources) == 0)
        ATTENTION(view, STYLE_WARNING,
                  "no qube has reported devices yet; is "
                  "qubes-autoattach-forwarder installed in the USB qube?");
    else if (n > 0)
        ATTENTION(view, STYLE_WARNING,
                  "no forwarder from %s%s: what is plugged in there is not "
                  "seen",
                  names, more);
}

static void view_attention(View *view)
{
    const json_t *daemon = json_object_get(view->status, "daemon");
    ShowText problem;

    attention_qubesd(view);
    attention_rules(view);
    attention_prompts(view);
    if (flag_of(daemon, "unlimited"))
        ATTENTION(view, STYLE_BAD,
                  "--unlimited: all rates are off; this is for tests only");
    shown_of(view, &problem, daemon, "state_problem");
    if (problem.s[0])
        ATTENTION(view, STYLE_WARNING, "%s", problem.s);
    attention_forwarders(view);
}

/* How many of a section's rows to show on a screen. */
static size_t rows_to_show(const View *view,
                           size_t n,
                           size_t shown_max,
                           size_t reserve)
{
    if (n > ROWS_MAX)
        n = ROWS_MAX;
    if (view->screen.has_end && n > shown_max)
        n = shown_max;
    return screen_rows_for(&view->screen, n, reserve);
}

/* Begin a section of a table, or say that it has no room here. */
static bool section(View *view, const char *title, size_t n, size_t n_rows)
{
    if (n_rows > 0)
        heading(view, title);
    else if (n > 0)
        print(view, STYLE_STRONG, 0, INDENT, "%s: %zu, with -v", title, n);
    return n_rows > 0;
}

static const char *count_cell(Cell *ret, const json_t *object, const char *key)
{
    (void) text_format(ret->s, sizeof(ret->s), "%" PRIu64,
                       number_of(object, key));
    return ret->s;
}

static void view_sources(View *view)
{
    const json_t *sources = json_object_get(view->status, "sources");
    size_t n = json_array_size(sources);
    size_t n_rows = rows_to_show(view, n, SOURCES_SHOWN, SOURCES_RESERVE);
    Cell cells[ROWS_MAX][3];
    ScreenRow rows[ROWS_MAX + 1] = { { "QUBE", "FORWARDER", "DEVICES",
                                       "JOBS" } };

    if (!section(view, "Sources", n, n_rows))
        return;
    for (size_t i = 0; i < n_rows; i++) {
        const json_t *source = json_array_get(sources, i);
        const char *forwarder = "missing";

        if (flag_of(source, "forwarder"))
            forwarder = "connected";
        else if (number_of(source, "n_connections") > 0)
            forwarder = "no picture yet";
        rows[i + 1][0] = cell_of(view, &cells[i][0], source, "name");
        rows[i + 1][1] = forwarder;
        rows[i + 1][2] = count_cell(&cells[i][1], source, "n_devices");
        rows[i + 1][3] = count_cell(&cells[i][2], source, "n_jobs");
    }
    screen_table(&view->screen, INDENT, 4, rows, n_rows + 1);
    screen_more(&view->screen, n - n_rows, INDENT);
}

static const char *show_device(const View *view,
                               Cell *ret,
                               const json_t *object)
{
    Cell source, device;
    ShowText text;

    (void) text_format(text.s, sizeof(text.s), "%s:%s",
                       cell_of(view, &source, object, "source"),
                       cell_of(view, &device, object, "device"));
    (void) text_format(ret->s, sizeof(ret->s), "%.*s",
                       (int) show_fit(text.s, CELL_COLUMNS), text.s);
    return ret->s;
}

static void view_jobs(View *view)
{
    const json_t *jobs = json_object_get(view->status, "jobs");
    size_t n = json_array_size(jobs);
    size_t n_rows = rows_to_show(view, n, JOBS_SHOWN, JOBS_RESERVE);
    size_t n_all = (size_t) number_of(view->status, "n_jobs");
    Cell cells[ROWS_MAX][5];
    ScreenRow rows[ROWS_MAX + 1] = { { "DEVICE", "STATE", "RULE", "TARGET",
                                       "SINCE" } };

    if (!section(view, "In work", n_all, n_rows))
        return;
    for (size_t i = 0; i < n_rows; i++) {
        const json_t *job = json_array_get(jobs, i);
        ShowText span;
        Cell *cell = cells[i];

        show_span(&span, number_of(job, "age_usec"));
        (void) text_format(cell[4].s, sizeof(cell[4].s), "%s", span.s);
        rows[i + 1][0] = show_device(view, &cell[0], job);
        rows[i + 1][1] = cell_of(view, &cell[1], job, "state");
        rows[i + 1][2] = cell_of(view, &cell[2], job, "rule");
        rows[i + 1][3] = cell_of(view, &cell[3], job, "target");
        rows[i + 1][4] = cell[4].s;
    }
    screen_table(&view->screen, INDENT, 5, rows, n_rows + 1);
    screen_more(&view->screen, n_all > n_rows ? n_all - n_rows : 0, INDENT);
}

static Style outcome_style(const json_t *outcome)
{
    uint64_t hundreds = number_of(outcome, "code") / 100;

    if (hundreds == 2)
        return STYLE_PLAIN;
    return hundreds == 5 ? STYLE_BAD : STYLE_WARNING;
}

/* " to work by rule stick" for what was attached, else where it was to go. */
static void format_place(const View *view,
                         char *ret,
                         size_t size,
                         const json_t *outcome)
{
    ShowText rule, target;

    shown_of(view, &rule, outcome, "rule");
    shown_of(view, &target, outcome, "target");
    ret[0] = '\0';
    if (target.s[0] && rule.s[0] &&
        number_of(outcome, "code") == STATUS_ATTACHED)
        (void) text_format(ret, size, " to %s by rule %s", target.s, rule.s);
    else if (target.s[0] && rule.s[0])
        (void) text_format(ret, size, " (rule %s, target %s)", rule.s,
                           target.s);
    else if (rule.s[0] || target.s[0])
        (void) text_format(ret, size, " (%s %s)", rule.s[0] ? "rule" : "target",
                           rule.s[0] ? rule.s : target.s);
}

/* sys-usb:sda "USB Flash": attached to work by rule stick */
static void format_outcome(const View *view,
                           char *ret,
                           size_t size,
                           const json_t *outcome)
{
    ShowText label = {}, sentence, place;
    Cell device;
    const char *untrusted_label = text_of(outcome, "label");

    if (untrusted_label[0])
        show_quoted(&label, untrusted_label, view->utf8);
    format_place(view, place.s, sizeof(place.s), outcome);
    (void) text_format(ret, size, "%s%s%s: %s%s",
                       show_device(view, &device, outcome),
                       label.s[0] ? " " : "", label.s,
                       shown_of(view, &sentence, outcome, "sentence"), place.s);
}

/* Print one outcome if it fits, and answer whether it did. */
static bool view_outcome(View *view, const json_t *outcome)
{
    Screen *screen = &view->screen;
    const size_t hang = INDENT + AGE_COLUMNS;
    char text[2 * SHOW_TEXT_MAX];
    size_t len, height;
    ShowText age, detail;

    show_age(&age, view->now_usec, number_of(outcome, "time_usec"));
    len = text_format(text, sizeof(text), "%-*s", (int) AGE_COLUMNS, age.s);
    format_outcome(view, text + len, sizeof(text) - len, outcome);
    shown_of(view, &detail, outcome, "detail");

    height = screen_height(screen, INDENT, hang, text);
    if (detail.s[0])
        height += screen_height(screen, hang, hang + INDENT, detail.s);
    if (height > screen_left(screen))
        return false;

    screen_text(screen, outcome_style(outcome), INDENT, hang, text);
    if (detail.s[0])
        screen_text(screen, STYLE_FAINT, hang, hang + INDENT, detail.s);
    return true;
}

/* The newest first: that is what one looks for. */
static void view_outcomes(View *view)
{
    const json_t *outcomes = json_object_get(view->status, "outcomes");
    size_t n = json_array_size(outcomes);

    if (screen_left(&view->screen) < 2)
        return;
    heading(view, n > 0 ? "Last outcomes, newest first" : "No outcomes yet");
    while (n > 0 && view_outcome(view, json_array_get(outcomes, n - 1)))
        n--;
}

void status_view(const Terminal *terminal,
                 const json_t *status,
                 ViewDetail detail)
{
    View view = {
        .utf8 = terminal->has_utf8,
        .is_bare = detail == VIEW_ATTENTION,
        .now_usec = number_of(status, "now_usec"),
        .status = status,
    };

    screen_init(&view.screen, terminal, detail != VIEW_SCREEN);
    if (detail == VIEW_ATTENTION) {
        view_attention(&view);
        return;
    }

    view_headline(&view);
    view_daemon(&view);
    view_attention(&view);
    view_sources(&view);
    view_jobs(&view);
    view_outcomes(&view);
}
