/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <string.h>

#include "common/status.h"
#include "common/text.h"
#include "dom0/ctl/explain-view.h"

#define RULE_INDENT (2 * VIEW_INDENT)

static void print_heading(View *view, const json_t *device, const char *place)
{
    Cell name, class, words, size;
    ShowText bytes;

    view_words(view, &words, device, "label");
    size.s[0] = '\0';
    if (json_is_integer(json_object_get(device, "size")))
        (void) text_format(size.s, sizeof(size.s), ", %s",
                           show_bytes(&bytes, member_number(device, "size")));
    view_print(view, STYLE_STRONG, 0, VIEW_INDENT, "%s%s%s%s%s (%s%s)", place,
               place[0] ? ": " : "", view_device(view, &name, device),
               words.s[0] ? " " : "", words.s,
               view_cell(view, &class, device, "class"), size.s);
}

/* What the daemon knows of it beyond the record. */
static void print_state(View *view, const json_t *device)
{
    const json_t *last = json_object_get(device, "last");
    ShowText state, target, rule, sentence, age;

    view_shown(view, &state, device, "state");
    view_shown(view, &target, device, "attached_to");
    view_shown(view, &rule, device, "attached_by");
    if (state.s[0])
        view_print(view, STYLE_PLAIN, VIEW_INDENT, RULE_INDENT,
                   "now in work: %s", state.s);
    if (target.s[0])
        view_print(view, STYLE_PLAIN, VIEW_INDENT, RULE_INDENT,
                   "now attached to %s%s%s", target.s,
                   rule.s[0] ? " by rule " : "", rule.s);
    if (json_is_object(last))
        view_print(
            view, STYLE_PLAIN, VIEW_INDENT, RULE_INDENT,
            "last outcome: %s (%s)",
            view_shown(view, &sentence, last, "sentence"),
            show_age(&age, view->now_usec, member_number(last, "time_usec")));
}

/* What is in the way: "" if nothing is. */
static void reason_text(const View *view,
                        char *ret,
                        size_t size,
                        const json_t *step)
{
    const char *untrusted_found = member_text(step, "found");
    ShowText condition, found;

    show_text(&found, untrusted_found, view->utf8);
    view_shown(view, &condition, step, "condition");
    ret[0] = '\0';
    if (member_is(step, "reason", "class"))
        (void) text_format(ret, size, "of another class; this is %s", found.s);
    else if (member_is(step, "reason", "source"))
        (void) text_format(ret, size, "for other sources; this is from %s",
                           found.s);
    else if (member_is(step, "reason", "partition"))
        (void) text_format(ret, size, "for whole disks; this is %s%s",
                           strcmp(found.s, "partition") == 0 ? "a " : "",
                           found.s);
    else if (!member_is(step, "reason", "matches"))
        (void) text_format(
            ret, size, "asks for %s; this has %s", condition.s,
            untrusted_found[0]
                ? show_quoted_escaped(&found, untrusted_found, view->utf8)
                : "none");
}

static void print_step(View *view, const json_t *step)
{
    char reason[2 * SHOW_TEXT_MAX];
    Cell name, file;

    reason_text(view, reason, sizeof(reason), step);
    view_print(view, reason[0] ? STYLE_PLAIN : STYLE_STRONG, VIEW_INDENT,
               RULE_INDENT, "%s (%s:%" PRIu64 ":%" PRIu64 "): %s",
               view_cell(view, &name, step, "name"),
               view_cell(view, &file, step, "file"),
               member_number(step, "line"), member_number(step, "column"),
               reason[0] ? reason : "takes it");
}

static void print_steps(View *view, const json_t *explanation)
{
    const json_t *steps = json_object_get(explanation, "steps"), *step;
    uint64_t n_rules = member_number(explanation, "n_rules");
    ShowText shown;
    size_t index;

    json_array_foreach(steps, index, step)
    {
        print_step(view, step);
    }
    if (member_text(explanation, "rule_text")[0])
        view_print(view, STYLE_PLAIN, RULE_INDENT, RULE_INDENT + VIEW_INDENT,
                   "%s", view_shown(view, &shown, explanation, "rule_text"));
    if (n_rules > index)
        view_print(view, STYLE_FAINT, VIEW_INDENT, VIEW_INDENT,
                   "%s not reached",
                   show_count(&shown, n_rules - index, "further rule"));
}

static const char *guard_text(const json_t *target)
{
    static const struct {
        const char *guard;
        const char *text;
    } texts[] = {
        { "never", "never a target" },
        { "deny", "deny" },
        { "ask", "ask" },
        { "allow", "allow" },
        { "silent", "no answer, so no" },
        { "unreachable", "not there, so no" },
        { "timeout", "too late, so no" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (member_is(target, "guard", texts[i].guard))
            return texts[i].text;
    return "not asked";
}

static void print_targets(View *view, const json_t *targets)
{
    ScreenRow rows[VIEW_ROWS_MAX + 1] = { { "TARGET", "POLICY", "QUBE" } };
    Cell cells[VIEW_ROWS_MAX][2];
    size_t n = json_array_size(targets);

    if (n == 0)
        return;
    for (size_t i = 0; i < n && i < VIEW_ROWS_MAX; i++) {
        const json_t *target = json_array_get(targets, i);

        rows[i + 1][0] = view_cell(view, &cells[i][0], target, "target");
        rows[i + 1][1] = guard_text(target);
        rows[i + 1][2] = view_cell(view, &cells[i][1], target, "state");
        if (rows[i + 1][2][0] == '\0')
            rows[i + 1][2] = "not known";
    }
    screen_table(&view->screen, VIEW_INDENT, 3, rows,
                 (n < VIEW_ROWS_MAX ? n : VIEW_ROWS_MAX) + 1);
}

static void print_property(View *view, const char *key, const json_t *value)
{
    ShowText name, shown;
    _cleanup_(freep) char *text = NULL;

    if (json_is_string(value)) {
        show_quoted(&shown, json_string_value(value), view->utf8);
    } else {
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        show_text(&shown, text ? text : "", view->utf8);
    }
    view_print(view, STYLE_FAINT, VIEW_INDENT, RULE_INDENT, "%s %s",
               show_text(&name, key, view->utf8), shown.s);
}

/* The rule's target, if it has no other. */
static const char *only_target(const View *view,
                               ShowText *ret,
                               const json_t *explanation)
{
    const json_t *targets = json_object_get(explanation, "targets");

    return json_array_size(targets) == 1
               ? view_shown(view, ret, json_array_get(targets, 0), "target")
               : "";
}

/* What comes of it, as far as that can be told. */
void explain_verdict_text(const View *view,
                          char *ret,
                          size_t size,
                          const json_t *explanation,
                          bool has_daemon)
{
    const json_t *verdict = json_object_get(explanation, "verdict");
    uint64_t code = member_number(verdict, "code");
    ShowText target, sentence, detail;
    bool asks = member_flag(verdict, "asks");
    bool starts = member_flag(verdict, "starts");

    view_shown(view, &detail, verdict, "detail");
    if (code == STATUS_WAITING_FOR_TARGET && !detail.s[0] &&
        only_target(view, &target, explanation)[0]) {
        (void) text_format(ret, size, "it waits until %s runs", target.s);
        return;
    }
    view_shown(view, &target, verdict, "target");
    if (code != STATUS_ATTACHED) {
        (void) text_format(ret, size, "%s%s%s",
                           view_shown(view, &sentence, verdict, "sentence"),
                           detail.s[0] ? ": " : "", detail.s);
        return;
    }
    (void) text_format(
        ret, size, "%s%s%s%s%s",
        asks ? "you are asked; with a yes it is attached to "
             : "it is attached to ",
        target.s[0] ? target.s
        : asks      ? "the target you choose"
                    : "the first target that runs, else the first",
        starts ? ", which is started for it" : "",
        has_daemon ? "" : ", if the Qubes policy and the target's state allow",
        "");
}

static void print_verdict(View *view,
                          const json_t *explanation,
                          const char *before,
                          bool has_daemon)
{
    const json_t *verdict = json_object_get(explanation, "verdict");
    uint64_t code = member_number(verdict, "code");
    char text[2 * SHOW_TEXT_MAX];
    ShowText status;

    explain_verdict_text(view, text, sizeof(text), explanation, has_daemon);
    view_print(view,
               code / 100 == 2   ? STYLE_GOOD
               : code / 100 == 3 ? STYLE_WARNING
                                 : STYLE_BAD,
               0, VIEW_INDENT, "%s%" PRIu64 " %s: %s", before, code,
               view_shown(view, &status, verdict, "status"), text);
}

void explain_view(View *view,
                  const json_t *explanation,
                  const char *place,
                  ExplainDetail detail,
                  bool has_daemon)
{
    json_t *device = json_object_get(explanation, "device"), *value;
    const char *key;
    char before[2 * CELL_MAX];
    Cell name;

    if (detail == EXPLAIN_VERDICT) {
        (void) text_format(before, sizeof(before), "%s%s%s: ", place,
                           place[0] ? ": " : "",
                           view_device(view, &name, device));
        print_verdict(view, explanation, before, has_daemon);
        return;
    }
    screen_gap(&view->screen);
    print_heading(view, device, place);
    if (detail == EXPLAIN_WHOLE)
        json_object_foreach(json_object_get(device, "properties"), key, value)
            print_property(view, key, value);
    print_state(view, device);
    print_steps(view, explanation);
    print_targets(view, json_object_get(explanation, "targets"));
    print_verdict(view, explanation, "", has_daemon);
}
