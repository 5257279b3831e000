/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/status.h"
#include "common/text.h"
#include "dom0/core/rule-lines.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/nearest.h"
#include "dom0/ctl/rule-edit.h"
#include "dom0/ctl/rule-print.h"
#include "dom0/wire/values.h"

static const char help[] =
    "Usage: " CTL_NAME " remove NAME [-i] [--rules-dir PATH] [--json] [-q]\n"
    "                             [--socket PATH]\n"
    "\n"
    "Take a rule out of the daemon's rules folder, whatever file it is in. "
    "Its\n"
    "comments before it and the other rules of the file stay; a file in which "
    "no rule\n"
    "and no comment is left is deleted. What is attached stays attached.\n"
    "\n"
    "Options:\n"
    "  -i, --interactive     ask before it is removed\n"
    "      --rules-dir PATH  another folder than the daemon's\n"
    "      --json            one JSON object in ASCII, also with exit status "
    "3: name,\n"
    "                        rule and file (null if the rules have errors), "
    "removed,\n"
    "                        file_deleted, warnings (that check would have "
    "then and\n"
    "                        does not have now; or the errors), command (that "
    "would\n"
    "                        do it, without the right to write; or null), "
    "loaded (by\n"
    "                        the daemon)\n"
    "  -q, --quiet           say nothing but what stands in the way\n"
    "      --socket PATH     the daemon's control socket, if it is not\n"
    "                        " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: 0 if it is removed and no longer in force, 3 if you said "
    "no, or the\n"
    "rules have errors, 4 if there is no such rule, 5 if the file could not "
    "be\n"
    "written, or the rule is still in force, 64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " remove backup\n";

typedef struct Removal {
    const Arguments *arguments;
    Terminal *terminal;
    const Rule *rule;
    RuleEdit edit;
    json_t *news;
} Removal;

static void removal_clear(Removal *removal)
{
    rule_edit_clear(&removal->edit);
    json_decref(removal->news);
}

static int fail_memory(void)
{
    (void) fprintf(stderr, CTL_NAME ": out of memory\n");
    return status_exit(STATUS_INTERNAL);
}

static int complain_no_rule(const Removal *removal)
{
    const char *name = removal->arguments->operands[0], *best = NULL;
    const Ruleset *rules = rule_book_rules(removal->edit.before);
    ShowText shown, folder;

    for (size_t i = 0; i < ruleset_count(rules); i++)
        best = nearest_pick(name, best, ruleset_get(rules, i)->name.s);
    show_quoted(&shown, name, false);
    show_text(&folder, removal->edit.folder.path, false);
    if (best)
        (void) fprintf(stderr,
                       CTL_NAME ": no rule %s in %s; did you mean %s?\n",
                       shown.s, folder.s, best);
    else
        (void) fprintf(stderr, CTL_NAME ": no rule %s in %s\n", shown.s,
                       folder.s);
    return status_exit(STATUS_NO_SUCH_DEVICE);
}

/* The file without the rule; NULL in @ret_text if nothing is left of it. */
static int take_out(Removal *removal)
{
    const RulesFile *file = rule_edit_file(&removal->edit, removal->rule->file);
    RuleSpan span =
        rule_lines_find(file->contents, file->len, removal->rule->line);
    size_t len = file->len - (span.end - span.start), n_errors;
    char *text = malloc(len + 1);

    if (!text)
        return fail_memory();
    memcpy(text, file->contents, span.start);
    memcpy(text + span.start, file->contents + span.end, file->len - span.end);
    if (rule_lines_are_blank(text, len)) {
        free(text);
        text = NULL;
    }
    if (rule_edit_set(&removal->edit, strdup(removal->rule->file), text, len) <
        0)
        return fail_memory();
    removal->news = rule_edit_news(&removal->edit, &n_errors);
    return removal->news ? 0 : fail_memory();
}

static void show_rule(const Removal *removal)
{
    ShowText path, rule;
    Terminal terminal;
    View view;

    if (!rule_edit_shows(&removal->edit, &terminal))
        return;
    view_init(&view, &terminal, 0, true);
    view_print(&view, STYLE_PLAIN, 0, VIEW_INDENT, "%s:%u, to be removed%s:",
               show_text(&path, removal->rule->file, view.utf8),
               removal->rule->line, removal->edit.text ? "" : " with its file");
    rule_print(&terminal, VIEW_INDENT,
               show_text(&rule, removal->rule->text, view.utf8));
    rule_edit_print_news(&removal->edit);
}

/* Which rule that is is not known where the rules have errors. */
static int print_json(const Removal *removal,
                      bool removed,
                      bool loaded,
                      bool has_right)
{
    _cleanup_(json_decrefp) json_t *object = NULL;
    const Rule *rule = removal->rule;
    ShowText command;

    object = json_pack(
        "{s:o, s:s?, s:o, s:b, s:b, s:o, s:s?, s:b}", "name",
        value_text(removal->arguments->operands[0]), "rule",
        rule ? rule->text : NULL, "file",
        rule ? value_text(rule->file) : json_null(), "removed", removed,
        "file_deleted", removed && !removal->edit.text, "warnings",
        removal->news ? json_incref(removal->news)
                      : rule_edit_errors(&removal->edit),
        "command",
        has_right ? NULL : rule_edit_command(&removal->edit, &command),
        "loaded", loaded);
    if (!object)
        return fail_memory();
    view_json(removal->terminal, object);
    return 0;
}

static int carry_out(const Removal *removal)
{
    bool as_json = arguments_have(removal->arguments, OPTION_JSON);
    bool loaded;
    int status;
    View view;

    if (!rule_edit_agree(&removal->edit, "Remove this rule?"))
        return EDIT_EXIT_REFUSED;
    status = rule_edit_commit(&removal->edit);
    if (status != 0 && as_json)
        (void) print_json(removal, false, false, false);
    if (status != 0)
        return status;

    loaded = rule_edit_tell_daemon(&removal->edit);
    view_init(&view, removal->terminal, 0, true);
    if (as_json)
        status = print_json(removal, true, loaded, true);
    else if (loaded && !arguments_have(removal->arguments, OPTION_QUIET))
        view_print(&view, STYLE_PLAIN, 0, VIEW_INDENT,
                   "the rule is no longer in force; what is attached stays "
                   "attached");
    return loaded ? status : status_exit(STATUS_UNAVAILABLE);
}

static int remove_rule(Removal *removal)
{
    int status =
        rule_edit_begin(&removal->edit, removal->arguments, removal->terminal);

    if (status != 0)
        return status;
    removal->rule = ruleset_find(rule_book_rules(removal->edit.before),
                                 removal->arguments->operands[0]);
    if (!removal->rule)
        return complain_no_rule(removal);
    status = take_out(removal);
    if (status != 0)
        return status;
    show_rule(removal);
    return carry_out(removal);
}

static int remove_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(removal_clear)
        Removal removal = { .arguments = arguments, .terminal = terminal };
    int status = remove_rule(&removal);

    if (status == EDIT_EXIT_REFUSED && arguments_have(arguments, OPTION_JSON))
        (void) print_json(&removal, false, false, true);
    return status;
}

const Command remove_command = {
    .name = "remove",
    .summary = "take a rule out of its file",
    .help = help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET) |
               OPTION_BIT(OPTION_INTERACTIVE) | OPTION_BIT(OPTION_RULES_DIR),
    .operand = "the NAME of a rule",
    .operands_min = 1,
    .operands_max = 1,
    .run = remove_run,
};
