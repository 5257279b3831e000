/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/ctl/nearest.h"
#include "dom0/ctl/rule-args.h"
#include "dom0/ctl/show.h"

#define LIST_MAX 511U

static bool complain(const char *format, const char *word, const char *more)
{
    ShowText shown;

    show_quoted(&shown, word, false);
    (void) fprintf(stderr, CTL_NAME ": ");
    (void) fprintf(stderr, "%s %s%s\n", format, shown.s, more);
    return false;
}

/* The next part up to a comma; false at the end. */
static bool next_part(const char **list, const char **ret, size_t *ret_len)
{
    if (!*list)
        return false;
    *ret = *list;
    *ret_len = strcspn(*list, ",");
    *list = (*list)[*ret_len] ? *list + *ret_len + 1 : NULL;
    return true;
}

static bool parse_targets(RuleArgs *ret, const char *list)
{
    const char *part;
    size_t len;

    while (next_part(&list, &part, &len)) {
        char word[LIST_MAX + 1];

        (void) text_format(word, sizeof(word), "%.*s", (int) len, part);
        if (ret->n_targets == APPROVAL_TARGETS_MAX)
            return complain("too many targets, from", word, "");
        if (!target_parse(&ret->targets[ret->n_targets], part, len))
            return complain("--to", word,
                            " is no qube; write a name, @dispvm or "
                            "@dispvm:TEMPLATE, several as work,vault");
        ret->n_targets++;
    }
    return true;
}

static bool excludes(const Arguments *arguments,
                     OptionId a,
                     OptionId b,
                     const char *message)
{
    if (!arguments_have(arguments, a) || !arguments_have(arguments, b))
        return false;
    (void) fprintf(stderr, CTL_NAME ": %s\n", message);
    return true;
}

static bool has_qube(const RuleArgs *args)
{
    for (size_t i = 0; i < args->n_targets; i++)
        if (args->targets[i].kind == TARGET_QUBE)
            return true;
    return args->n_targets == 0; /* what it will be */
}

/* A disposable is made when it is needed, and never waited for. */
static bool parse_start(RuleArgs *ret, const Arguments *arguments)
{
    if (arguments_have(arguments, OPTION_START) || !has_qube(ret))
        ret->options.start = RULE_START_TARGET;
    if (!arguments_have(arguments, OPTION_IF_RUNNING))
        return true;
    ret->options.start = RULE_IF_RUNNING;
    if (has_qube(ret))
        return true;
    (void) fprintf(stderr, CTL_NAME ": --if-running is for qubes: a disposable "
                                    "is made whenever the rule takes the "
                                    "device\n");
    return false;
}

bool rule_args_parse(RuleArgs *ret, const Arguments *arguments)
{
    const char *to = arguments->values[OPTION_TO];

    *ret = (RuleArgs){
        .action =
            arguments_have(arguments, OPTION_ALLOW) ? RULE_ALLOW : RULE_ASK,
        .options = { .read_only = arguments_have(arguments, OPTION_READ_ONLY),
                     .close = arguments_have(arguments, OPTION_CLOSE),
                     .start = RULE_WHEN_RUNNING,
                     .timeout_usec = RULE_TIMEOUT_DEFAULT_USEC },
    };
    if (excludes(arguments, OPTION_ASK, OPTION_ALLOW,
                 "--ask and --allow exclude each other") ||
        excludes(arguments, OPTION_START, OPTION_IF_RUNNING,
                 "--start and --if-running exclude each other"))
        return false;
    if (to && !parse_targets(ret, to))
        return false;
    return parse_start(ret, arguments);
}

/* What it could be matched by, as "id, serial and path". */
static void list_keys(char ret[LIST_MAX + 1], const Record *record)
{
    size_t len = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < N_CONDITION_KEYS; i++) {
        ConditionKey key = (ConditionKey) i;

        if (rule_compose_has(key, record) &&
            condition_key_form(key) != CONDITION_FORM_SIZE)
            len += text_format(ret + len, LIST_MAX + 1 - len, "%s%s",
                               len > 0 ? ", " : "", condition_key_name(key));
    }
}

static bool find_key(ConditionKey *ret, const char *word, size_t len)
{
    for (size_t i = 0; i < N_CONDITION_KEYS; i++) {
        const char *name = condition_key_name((ConditionKey) i);

        *ret = (ConditionKey) i;
        if (strlen(name) == len && memcmp(name, word, len) == 0)
            return condition_key_form(*ret) != CONDITION_FORM_SIZE;
    }
    return false;
}

/* What is wrong with a word of --match. */
static bool complain_key(const char *word, const Record *record, bool is_known)
{
    char list[LIST_MAX + 1], more[2 * LIST_MAX];

    list_keys(list, record);
    (void) text_format(more, sizeof(more),
                       "%s; this device can be matched by "
                       "%s",
                       is_known ? ", which the device does not have" : "",
                       list);
    return complain(is_known ? "--match" : "--match takes no", word, more);
}

bool rule_args_match(ConditionKey ret[N_CONDITION_KEYS],
                     size_t *ret_n,
                     const char *match,
                     const Record *record)
{
    const char *part;
    size_t len;

    *ret_n = 0;
    while (next_part(&match, &part, &len)) {
        char word[LIST_MAX + 1];
        ConditionKey key;
        bool is_known = find_key(&key, part, len), is_twice = false;

        (void) text_format(word, sizeof(word), "%.*s", (int) len, part);
        if (!is_known || !rule_compose_has(key, record))
            return complain_key(word, record, is_known);
        for (size_t i = 0; i < *ret_n; i++)
            is_twice |= ret[i] == key;
        if (!is_twice)
            ret[(*ret_n)++] = key;
    }
    return true;
}

bool rule_args_match_best(ConditionKey ret[N_CONDITION_KEYS],
                          size_t *ret_n,
                          const Record *record)
{
    static const ConditionKey wanted[] = { CONDITION_ID, CONDITION_SERIAL };
    char list[LIST_MAX + 1];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        if (rule_compose_has(wanted[i], record))
            ret[n++] = wanted[i];
    /* without a serial the port tells it from others */
    if (!rule_compose_has(CONDITION_SERIAL, record) &&
        rule_compose_has(CONDITION_PATH, record))
        ret[n++] = CONDITION_PATH;
    *ret_n = n;
    if (n > 0)
        return true;

    list_keys(list, record);
    (void) fprintf(stderr,
                   CTL_NAME ": --match is missing: the device tells no id, "
                            "serial or path%s%s\n",
                   list[0] ? "; it can be matched by " : "", list);
    return false;
}
