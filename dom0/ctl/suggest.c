/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/status.h"
#include "common/text.h"
#include "dom0/core/rule-suggest.h"
#include "dom0/core/ruleset.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/known-devices.h"
#include "dom0/ctl/rule-args.h"
#include "dom0/ctl/rule-print.h"
#include "dom0/ctl/view.h"

/* a name that no qube has, to be written over */
#define PLACEHOLDER "QUBE"

static const char help[] =
    "Usage: " CTL_NAME " suggest DEVICE [--to QUBE] [--ask | --allow]\n"
    "                              [--read-only] [--start | --if-running] "
    "[--close]\n"
    "                              [--json] [-q] [--socket PATH]\n"
    "\n"
    "Print rules that take a device that is plugged in, from strict to loose, "
    "with\n"
    "what each of them would also take of what is plugged in now. What is "
    "printed is\n"
    "a rule file: paste a rule of it, with the name of a qube, into a file of "
    "the\n"
    "rules folder; `" CTL_NAME " add` does that for you.\n"
    "\n"
    "Options:\n" RULE_ARGS_HELP
    "      --json            one JSON object in ASCII: device, taken_by (the "
    "rule\n"
    "                        that takes it now, or null), and suggestions, a "
    "list\n"
    "                        of objects with name, meaning, match, rule, and "
    "also,\n"
    "                        the other devices that it takes\n"
    "  -q, --quiet           the rules only, without comments\n"
    "      --socket PATH     the daemon's control socket, if it is not\n"
    "                        " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: 0 if the daemon answered, 4 if no such device is plugged "
    "in, 5 if\n"
    "the daemon cannot be reached, 64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " suggest sys-usb:sda --to backups\n";

typedef struct Suggested {
    const RuleSuggestion *suggestion;
    RuleName name;
    char *text;
    Ruleset *ruleset; /* the one rule, read again */
} Suggested;

typedef struct Suggest {
    const Arguments *arguments;
    Terminal *terminal;
    View view;
    KnownDevices known;
    const KnownDevice *device;
    json_t *rules; /* in force, as ListRules tells them */
    RuleArgs args;
    RuleSuggestion suggestions[RULE_SUGGESTIONS_MAX];
    Suggested made[RULE_SUGGESTIONS_MAX]; /* of each of them */
    size_t n_rules;
} Suggest;

static void suggested_clear(Suggested *suggested)
{
    free(suggested->text);
    ruleset_unref(suggested->ruleset);
    *suggested = (Suggested){};
}

static bool is_taken(const char *name, const void *userdata)
{
    const Suggest *suggest = userdata;
    const json_t *rule;
    size_t index;

    json_array_foreach(suggest->rules, index, rule)
    {
        if (member_is(rule, "name", name))
            return true;
    }
    return false;
}

/* What is written is read again: it is what matches, and has no error. */
static int read_back(Suggested *suggested)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    int r = diagnostics_new(&diagnostics);

    if (r == 0)
        r = ruleset_new(&suggested->ruleset);
    if (r == 0)
        r = ruleset_add_file(suggested->ruleset, "suggested", suggested->text,
                             strlen(suggested->text), diagnostics);
    if (r < 0)
        return r;
    if (diagnostics_count(diagnostics) > 0) {
        (void) fprintf(stderr, CTL_NAME ": %s\n",
                       diagnostics_get(diagnostics, 0)->message);
        return -EINVAL;
    }
    return 0;
}

static int make(Suggested *ret,
                const Suggest *suggest,
                const RuleSuggestion *suggestion)
{
    RuleSpec spec = {
        .action = suggest->args.action,
        .keys = suggestion->keys,
        .n_keys = suggestion->n_keys,
        .source = suggest->device->source,
        .targets = suggest->args.targets,
        .n_targets = suggest->args.n_targets,
        .options = suggest->args.options,
        /* what is shown must be what can be pasted */
        .ascii = !suggest->view.utf8 &&
                 !arguments_have(suggest->arguments, OPTION_JSON),
    };

    *ret = (Suggested){ .suggestion = suggestion };
    rule_compose_name(&ret->name, suggestion->name, is_taken, suggest);
    spec.name = ret->name;
    ret->text = rule_compose(&spec, &suggest->device->record);
    return ret->text ? read_back(ret) : -ENOMEM;
}

static bool takes(const Suggested *suggested, const KnownDevice *device)
{
    return ruleset_match(suggested->ruleset, &device->source,
                         &device->record) != NULL;
}

/* "id,serial": what --match would be */
static void match_text(char *ret, size_t size, const RuleSuggestion *suggestion)
{
    size_t len = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < suggestion->n_keys; i++)
        len += text_format(ret + len, size - len, "%s%s", i > 0 ? "," : "",
                           condition_key_name(suggestion->keys[i]));
}

/* for people */

#define PRINT_COMMENT(suggest, ...)                              \
    do {                                                         \
        char _text_[SHOW_TEXT_MAX];                              \
                                                                 \
        (void) text_format(_text_, sizeof(_text_), __VA_ARGS__); \
        rule_print_comment((suggest)->terminal, _text_);         \
    } while (0)

static int print_also(Suggest *suggest, const Suggested *suggested)
{
    _cleanup_(freep) char *text = NULL;
    size_t size, n = 0;
    FILE *list = open_memstream(&text, &size);

    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < suggest->known.n_devices; i++) {
        const KnownDevice *other = &suggest->known.devices[i];
        Cell name, words;

        if (other == suggest->device || !takes(suggested, other))
            continue;
        view_words(&suggest->view, &words, other->json, "label");
        (void) fprintf(list, "%s%s%s%s",
                       n++ == 0 ? "would now also take: " : ", ",
                       view_device(&suggest->view, &name, other->json),
                       words.s[0] ? " " : "", words.s);
    }
    if (fclose(list) != 0)
        return -ENOMEM;
    if (n > 0)
        rule_print_comment(suggest->terminal, text);
    return 0;
}

static int print_one(Suggest *suggest, const Suggested *suggested)
{
    char match[128];
    int r = 0;

    if (!arguments_have(suggest->arguments, OPTION_QUIET)) {
        match_text(match, sizeof(match), suggested->suggestion);
        (void) fputc('\n', suggest->terminal->out);
        PRINT_COMMENT(suggest, "%s%s%s%s", suggested->suggestion->meaning,
                      match[0] ? " (--match " : "", match, match[0] ? ")" : "");
        r = print_also(suggest, suggested);
    }
    rule_print(suggest->terminal, 0, suggested->text);
    return r;
}

static void print_head(Suggest *suggest)
{
    const json_t *device = suggest->device->json;
    const json_t *taker = json_object_get(device, "rule");
    Cell name, words, rule, file;

    view_device(&suggest->view, &name, device);
    view_words(&suggest->view, &words, device, "label");
    PRINT_COMMENT(suggest, "rules for %s%s%s, from strict to loose", name.s,
                  words.s[0] ? " " : "", words.s);
    PRINT_COMMENT(suggest,
                  "to write one: sudo " CTL_NAME
                  " add NAME %s --to QUBE --match KEYS",
                  name.s);
    if (json_is_object(taker))
        PRINT_COMMENT(suggest,
                      "rule %s (%s:%" PRIu64 ") takes it now: another has to "
                      "come before that one",
                      view_cell(&suggest->view, &rule, taker, "name"),
                      view_cell(&suggest->view, &file, taker, "file"),
                      member_number(taker, "line"));
}

/* for programs */

static json_t *device_of(const KnownDevice *device)
{
    return json_pack("{s:s, s:s, s:O?}", "source", device->source.s, "device",
                     device->record.device.s, "label",
                     json_object_get(device->json, "label"));
}

static json_t *suggested_to_json(const Suggest *suggest,
                                 const Suggested *suggested)
{
    const RuleSuggestion *suggestion = suggested->suggestion;
    _cleanup_(json_decrefp) json_t *match = json_array();
    _cleanup_(json_decrefp) json_t *also = json_array();

    for (size_t i = 0; i < suggestion->n_keys; i++)
        if (json_array_append_new(match, json_string(condition_key_name(
                                             suggestion->keys[i]))) < 0)
            return NULL;
    for (size_t i = 0; i < suggest->known.n_devices; i++) {
        const KnownDevice *other = &suggest->known.devices[i];

        if (other != suggest->device && takes(suggested, other) &&
            json_array_append_new(also, device_of(other)) < 0)
            return NULL;
    }
    return json_pack("{s:s, s:s, s:O, s:s, s:O}", "name", suggested->name.s,
                     "meaning", suggestion->meaning, "match", match, "rule",
                     suggested->text, "also", also);
}

static int print_json(const Suggest *suggest, json_t *list)
{
    _cleanup_(json_decrefp) json_t *object = json_pack(
        "{s:o, s:O?, s:O}", "device", device_of(suggest->device), "taken_by",
        json_object_get(suggest->device->json, "rule"), "suggestions", list);

    if (!object)
        return -ENOMEM;
    view_json(suggest->terminal, object);
    return 0;
}

static int make_all(Suggest *suggest)
{
    size_t n = rule_suggest(&suggest->device->record, suggest->suggestions);
    int r = 0;

    for (; suggest->n_rules < n && r == 0; suggest->n_rules++)
        r = make(&suggest->made[suggest->n_rules], suggest,
                 &suggest->suggestions[suggest->n_rules]);
    return r;
}

static int print_all(Suggest *suggest)
{
    _cleanup_(json_decrefp) json_t *list = json_array();
    int r = 0;

    if (!arguments_have(suggest->arguments, OPTION_JSON)) {
        if (!arguments_have(suggest->arguments, OPTION_QUIET))
            print_head(suggest);
        for (size_t i = 0; i < suggest->n_rules && r == 0; i++)
            r = print_one(suggest, &suggest->made[i]);
        return r;
    }
    for (size_t i = 0; i < suggest->n_rules && r == 0; i++)
        r = json_array_append_new(
            list, suggested_to_json(suggest, &suggest->made[i]));
    return r == 0 ? print_json(suggest, list) : -ENOMEM;
}

/* The qube that has it is the likeliest. */
static void set_default_target(Suggest *suggest)
{
    const char *holder = member_text(suggest->device->json, "attached_to");
    Target *target = &suggest->args.targets[0];

    if (suggest->args.n_targets > 0)
        return;
    suggest->args.n_targets = 1;
    if (!target_parse(target, holder, strlen(holder)) &&
        !target_parse(target, PLACEHOLDER, strlen(PLACEHOLDER)))
        suggest->args.n_targets = 0;
}

static int ask_daemon(Suggest *suggest,
                      ClientError *error,
                      const Arguments *arguments)
{
    const char *path = client_path(arguments);
    int r = known_devices_ask(&suggest->known, error, path);

    if (r == 0)
        r = client_list(&suggest->rules, error, path, "ListRules", "rules");
    return r;
}

static void suggest_clear(Suggest *suggest)
{
    for (size_t i = 0; i < RULE_SUGGESTIONS_MAX; i++)
        suggested_clear(&suggest->made[i]);
    known_devices_clear(&suggest->known);
    json_decref(suggest->rules);
}

static int suggest_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(suggest_clear)
        Suggest suggest = { .arguments = arguments, .terminal = terminal };
    ClientError error;
    DeviceArg device;
    int r;

    if (!device_arg_parse(&device, arguments->operands[0]) ||
        !rule_args_parse(&suggest.args, arguments))
        return CTL_EXIT_USAGE;
    if (ask_daemon(&suggest, &error, arguments) < 0)
        return client_complain(&error);
    suggest.device = known_devices_find(&suggest.known, &device);
    if (!suggest.device)
        return complain_no_device(arguments->operands[0]);

    view_init(&suggest.view, terminal, 0, true);
    set_default_target(&suggest);
    r = make_all(&suggest);
    if (r == 0)
        r = print_all(&suggest);
    if (r == -EINVAL)
        return CTL_EXIT_USAGE;
    if (r < 0) {
        (void) fprintf(stderr, CTL_NAME ": out of memory\n");
        return status_exit(STATUS_INTERNAL);
    }
    return CTL_EXIT_OK;
}

const Command suggest_command = {
    .name = "suggest",
    .summary = "rules for a device that is plugged in, strictest first",
    .help = help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET) | RULE_ARGS_OPTIONS,
    .operand = "a DEVICE, as sys-usb:sda",
    .operands_min = 1,
    .operands_max = 1,
    .run = suggest_run,
};
