/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/status.h"
#include "common/text.h"
#include "dom0/core/rule-lines.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/explain.h"
#include "dom0/ctl/known-devices.h"
#include "dom0/ctl/rule-args.h"
#include "dom0/ctl/rule-edit.h"
#include "dom0/ctl/rule-print.h"
#include "dom0/wire/values.h"

static const char help[] =
    "Usage: " CTL_NAME " add NAME DEVICE --to QUBE [--ask | --allow]\n"
    "                          [--match KEY,...] [--read-only] [--close]\n"
    "                          [--start | --if-running] [--force] [-i]\n"
    "                          [--rules-dir PATH] [--json] [-q] [--socket "
    "PATH]\n"
    "\n"
    "Write a rule, called NAME, that takes a device that is plugged in, into "
    "the file\n"
    "50-NAME.rules of the daemon's rules folder. The rule is shown, then "
    "written;\n"
    "then the daemon reads it, and what becomes of the device is told. A rule "
    "whose\n"
    "name is taken, that `" CTL_NAME " check` would warn of, or that would "
    "not take\n"
    "the device because an earlier one does, is refused.\n"
    "\n"
    "Options:\n" RULE_ARGS_HELP
    "      --match KEY,...   by what the rule is to know the device, as\n"
    "                        id,serial,path; all conditions of rules but "
    "sizes; else\n"
    "                        id and serial, or id and path without a serial;\n"
    "                        needed for a device that has none of them\n"
    "      --force           write it all the same; a rule of this name in "
    "this file\n"
    "                        is replaced\n"
    "  -i, --interactive     ask before it is written\n"
    "      --rules-dir PATH  another folder than the daemon's\n"
    "      --json            one JSON object in ASCII, also with exit status "
    "3: name,\n"
    "                        rule, file, written, warnings (as errors of "
    "check; or\n"
    "                        the errors that the rules have), command (that "
    "would do\n"
    "                        it, without the right to write; or null), "
    "loaded (by\n"
    "                        the daemon), verdict (as that of explain, or "
    "null)\n"
    "  -q, --quiet           say nothing but what stands in the way\n"
    "      --socket PATH     the daemon's control socket, if it is not\n"
    "                        " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: 0 if it is written and in force, 3 if it was refused, or "
    "you said\n"
    "no, 4 if no such device is plugged in, 5 if it could not be written, or "
    "is not\n"
    "in force, or the daemon cannot be reached, 64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " add backup sys-usb:sda --to backups --read-only\n";

typedef struct Add {
    const Arguments *arguments;
    Terminal *terminal;
    const char *name;
    KnownDevices known;
    const KnownDevice *device;
    RuleArgs args;
    RuleEdit edit;
    char *rule;
    json_t *news; /* what check would say of it */
} Add;

static void add_clear(Add *add)
{
    known_devices_clear(&add->known);
    rule_edit_clear(&add->edit);
    free(add->rule);
    json_decref(add->news);
}

static int fail_memory(void)
{
    (void) fprintf(stderr, CTL_NAME ": out of memory\n");
    return status_exit(STATUS_INTERNAL);
}

/* the rule */

static int compose(Add *add)
{
    const char *match = add->arguments->values[OPTION_MATCH];
    const Record *record = &add->device->record;
    ConditionKey keys[N_CONDITION_KEYS];
    RuleSpec spec = { .action = add->args.action,
                      .keys = keys,
                      .source = add->device->source,
                      .targets = add->args.targets,
                      .n_targets = add->args.n_targets,
                      .options = add->args.options };

    if (match ? !rule_args_match(keys, &spec.n_keys, match, record)
              : !rule_args_match_best(keys, &spec.n_keys, record))
        return CTL_EXIT_USAGE;
    (void) text_format(spec.name.s, sizeof(spec.name.s), "%s", add->name);
    add->rule = rule_compose(&spec, record);
    return add->rule ? 0 : fail_memory();
}

/* its file */

static char *file_name(const Add *add)
{
    char name[sizeof("50-.rules") + RULE_NAME_MAX];

    (void) text_format(name, sizeof(name), "50-%s.rules", add->name);
    return rule_edit_path(&add->edit, name);
}

/* The file with the rule in it, instead of what is at @span. */
static char *put_rule(const Add *add,
                      const RulesFile *file,
                      RuleSpan span,
                      size_t *ret_len)
{
    const char *old = file ? file->contents : "";
    size_t old_len = file ? file->len : 0;
    size_t size = old_len + strlen(add->rule) + sizeof("\n\n");
    char *text = malloc(size);
    bool joins = span.start > 0 && old[span.start - 1] != '\n';

    if (!text)
        return NULL;
    memcpy(text, old, span.start);
    *ret_len = span.start;
    *ret_len += text_format(text + *ret_len, size - *ret_len, "%s%s\n",
                            joins ? "\n" : "", add->rule);
    memcpy(text + *ret_len, old + span.end, old_len - span.end);
    *ret_len += old_len - span.end;
    return text;
}

/* A rule that has the name already: it may be replaced where it stands. */
static int find_place(const Add *add,
                      const char *path,
                      const RulesFile *file,
                      RuleSpan *ret)
{
    const Rule *old =
        ruleset_find(rule_book_rules(add->edit.before), add->name);
    size_t len = file ? file->len : 0;
    ShowText shown;

    *ret = (RuleSpan){ len, len };
    if (!old)
        return 0;
    if (arguments_have(add->arguments, OPTION_FORCE) &&
        strcmp(old->file, path) == 0) {
        assert(file); /* a rule is in it */
        *ret = rule_lines_find(file->contents, len, old->line);
        return 0;
    }
    (void) fprintf(stderr,
                   CTL_NAME ": there is a rule %s already, %s:%u; choose "
                            "another name%s\n",
                   add->name, show_text(&shown, old->file, false), old->line,
                   strcmp(old->file, path) == 0 ? ", or replace it with --force"
                                                : "");
    return EDIT_EXIT_REFUSED;
}

static int make_change(Add *add)
{
    char *path = file_name(add), *text;
    const RulesFile *file;
    RuleSpan span;
    size_t len, n_errors;
    int r;

    if (!path)
        return fail_memory();
    file = rule_edit_file(&add->edit, path);
    r = find_place(add, path, file, &span);
    if (r != 0) {
        free(path);
        return r;
    }
    text = put_rule(add, file, span, &len);
    if (!text) {
        free(path);
        return fail_memory();
    }
    if (rule_edit_set(&add->edit, path, text, len) < 0)
        return fail_memory();
    add->news = rule_edit_news(&add->edit, &n_errors);
    if (!add->news)
        return fail_memory();
    if (n_errors == 0)
        return 0;
    rule_edit_print_news(&add->edit);
    return CTL_EXIT_USAGE;
}

/* what stands in the way */

static bool takes_device(const Add *add)
{
    const Rule *rule =
        ruleset_match(rule_book_rules(add->edit.after), &add->device->source,
                      &add->device->record);
    ShowText shown;

    if (rule && strcmp(rule->name.s, add->name) == 0)
        return true;
    if (rule)
        (void) fprintf(stderr,
                       CTL_NAME ": rule %s (%s:%u) comes first and takes the "
                                "device; move it into a file whose name sorts "
                                "after this one's, or remove it\n",
                       rule->name.s, show_text(&shown, rule->file, false),
                       rule->line);
    return false;
}

static int judge(const Add *add)
{
    bool is_good = json_array_size(add->news) == 0;

    if (!is_good)
        rule_edit_print_news(&add->edit);
    is_good &= takes_device(add);
    if (is_good || arguments_have(add->arguments, OPTION_FORCE))
        return 0;
    (void) fprintf(stderr, CTL_NAME ": nothing is written; --force writes it "
                                    "all the same\n");
    return EDIT_EXIT_REFUSED;
}

/* what happens then */

static void show_rule(const Add *add)
{
    ShowText path, rule;
    Terminal terminal;
    View view;

    if (!rule_edit_shows(&add->edit, &terminal))
        return;
    view_init(&view, &terminal, 0, true);
    view_print(&view, STYLE_PLAIN, 0, VIEW_INDENT,
               "%s:", show_text(&path, add->edit.path, view.utf8));
    rule_print(&terminal, VIEW_INDENT, show_text(&rule, add->rule, view.utf8));
}

/* What becomes of the device by the rules now in force; NULL if the daemon does
 * not tell. */
static json_t *ask_explanation(const Add *add)
{
    json_t *explanation = NULL;
    const DeviceArg device = { .source = add->device->source,
                               .class = add->device->record.class,
                               .device = add->device->record.device };
    ClientError error;

    if (explain_device(&explanation, &error, client_path(add->arguments),
                       &device) < 0)
        return NULL;
    return explanation;
}

static void tell_verdict(const Add *add, const json_t *explanation)
{
    const char *device = add->arguments->operands[1];
    char text[2 * SHOW_TEXT_MAX];
    ShowText shown;
    View view;

    view_init(&view, add->terminal, 0, true);
    if (!explanation) {
        view_print(&view, STYLE_PLAIN, 0, VIEW_INDENT, "the rule is in force");
        return;
    }
    explain_verdict_text(&view, text, sizeof(text), explanation, true);
    view_print(&view, STYLE_PLAIN, 0, VIEW_INDENT,
               "the rule is in force; when %s is plugged in again, or with "
               "`" CTL_NAME " retry %s`: %s",
               show_text(&shown, device, view.utf8), shown.s, text);
}

static int print_json(const Add *add,
                      bool written,
                      bool loaded,
                      json_t *verdict,
                      bool has_right)
{
    _cleanup_(json_decrefp) json_t *object = NULL;
    _cleanup_(freep) char *path = file_name(add);
    ShowText command;

    object = json_pack(
        "{s:s, s:s, s:o, s:b, s:o, s:s?, s:b, s:O?}", "name", add->name, "rule",
        add->rule, "file", path ? value_text(path) : NULL, "written", written,
        "warnings",
        add->news ? json_incref(add->news) : rule_edit_errors(&add->edit),
        "command", has_right ? NULL : rule_edit_command(&add->edit, &command),
        "loaded", loaded, "verdict", verdict);
    if (!object)
        return fail_memory();
    view_json(add->terminal, object);
    return 0;
}

/* It is good: write it, and have it in force. */
static int carry_out(const Add *add)
{
    _cleanup_(json_decrefp) json_t *explanation = NULL;
    bool as_json = arguments_have(add->arguments, OPTION_JSON);
    bool loaded;
    int status;

    if (!rule_edit_agree(&add->edit, "Write this rule?"))
        return EDIT_EXIT_REFUSED;
    status = rule_edit_commit(&add->edit);
    if (status != 0 && as_json)
        (void) print_json(add, false, false, NULL, false);
    if (status != 0)
        return status;

    loaded = rule_edit_tell_daemon(&add->edit);
    if (loaded)
        explanation = ask_explanation(add);
    if (as_json)
        status = print_json(add, true, loaded,
                            json_object_get(explanation, "verdict"), true);
    else if (loaded && !arguments_have(add->arguments, OPTION_QUIET))
        tell_verdict(add, explanation);
    return loaded ? status : status_exit(STATUS_UNAVAILABLE);
}

static int take_arguments(Add *add, DeviceArg *device)
{
    ShowText shown;
    RuleName name;

    if (!device_arg_parse(device, add->arguments->operands[1]) ||
        !rule_args_parse(&add->args, add->arguments))
        return CTL_EXIT_USAGE;
    /* what is more than a name could be a rule of its own */
    if (!rule_name_parse(&name, add->name, strlen(add->name))) {
        (void) fprintf(stderr,
                       CTL_NAME ": %s is no name of a rule; it begins with a "
                                "letter from a to z or A to Z, and has only "
                                "these, digits, '-' and '_', at most %u\n",
                       show_quoted(&shown, add->name, false), RULE_NAME_MAX);
        return CTL_EXIT_USAGE;
    }
    if (add->args.n_targets == 0) {
        (void) fprintf(stderr, CTL_NAME ": --to QUBE is missing: the qube "
                                        "it is to go to, as --to work\n");
        return CTL_EXIT_USAGE;
    }
    return 0;
}

static int add_rule(Add *add)
{
    ClientError error;
    DeviceArg device;
    int status = take_arguments(add, &device);

    if (status != 0)
        return status;
    if (known_devices_ask(&add->known, &error, client_path(add->arguments)) < 0)
        return client_complain(&error);
    add->device = known_devices_find(&add->known, &device);
    if (!add->device)
        return complain_no_device(add->arguments->operands[1]);

    status = compose(add);
    if (status == 0)
        status = rule_edit_begin(&add->edit, add->arguments, add->terminal);
    if (status == 0)
        status = make_change(add);
    if (status != 0)
        return status;
    show_rule(add);
    status = judge(add);
    return status == 0 ? carry_out(add) : status;
}

static int add_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(add_clear) Add add = { .arguments = arguments,
                                     .terminal = terminal,
                                     .name = arguments->operands[0] };
    int status = add_rule(&add);

    if (status == EDIT_EXIT_REFUSED && arguments_have(arguments, OPTION_JSON))
        (void) print_json(&add, false, false, NULL, true);
    return status;
}

const Command add_command = {
    .name = "add",
    .summary = "write a rule for a device that is plugged in",
    .help = help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET) | RULE_ARGS_OPTIONS |
               OPTION_BIT(OPTION_MATCH) | OPTION_BIT(OPTION_FORCE) |
               OPTION_BIT(OPTION_INTERACTIVE) | OPTION_BIT(OPTION_RULES_DIR),
    .operand = "a NAME for the rule and a DEVICE, as backup sys-usb:sda",
    .operands_min = 2,
    .operands_max = 2,
    .run = add_run,
};
