/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "dom0/core/rule-value.h"

#define ID_DIGITS        4U
#define REVISION_DIGITS  4U
#define INTERFACE_DIGITS 6U

static bool token_is(const RuleToken *token, const char *word)
{
    return token->len == strlen(word) &&
           memcmp(token->text, word, token->len) == 0;
}

static bool token_begins(const RuleToken *token, const char *prefix)
{
    return token->len >= strlen(prefix) &&
           memcmp(token->text, prefix, strlen(prefix)) == 0;
}

static bool is_number(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return len > 0;
}

/* False if it is no number, or more than INT64_MAX. */
static bool parse_number(const char *text, size_t len, int64_t *ret)
{
    int64_t number = 0;

    if (!is_number(text, len))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, text[i] - '0', &number))
            return false;
    }
    *ret = number;
    return true;
}

static bool make_glob(Glob *ret,
                      const RuleToken *token,
                      bool fold,
                      RuleArena *arena,
                      RuleReport *report)
{
    char pattern[GLOB_MAX + 1], literal[GLOB_MAX + 1];
    const char *error;
    size_t offset;

    error = glob_normalize(pattern, token->text, token->len, fold, &offset);
    if (error) {
        if (offset == GLOB_WHOLE)
            offset = RULE_REPORT_START;
        rule_report_text(report, token, offset, error);
        return false;
    }

    *ret = (Glob){};
    ret->pattern = rule_arena_text(arena, pattern, strlen(pattern));
    if (ret->pattern && glob_to_literal(literal, pattern))
        ret->literal = strcmp(literal, pattern) == 0
                           ? ret->pattern
                           : rule_arena_text(arena, literal, strlen(literal));
    else if (ret->pattern)
        return true;
    if (!ret->pattern || !ret->literal) {
        report->r = -ENOMEM;
        return false;
    }
    return true;
}

/* Whether only hex digits and what makes a pattern are in it. */
static bool is_hex_glob(const char *pattern)
{
    bool in_set = false;

    for (size_t i = 0; pattern[i]; i++) {
        char c = pattern[i];

        if (text_is_hex(&c, 1, true))
            continue;
        if (!in_set && c == '[')
            in_set = true;
        else if (in_set && c == ']')
            in_set = false;
        else if (in_set ? c != '-' && !(c == '!' && pattern[i - 1] == '[')
                        : c != '*' && c != '?')
            return false;
    }
    return true;
}

/* @what names it in messages, as "a revision". */
static bool make_hex_glob(Glob *ret,
                          const RuleToken *token,
                          size_t n_digits,
                          const char *what,
                          RuleArena *arena,
                          RuleReport *report)
{
    size_t n;
    bool open;

    if (!make_glob(ret, token, true, arena, report))
        return false;
    if (token->len > 2 &&
        (token_begins(token, "0x") || token_begins(token, "0X"))) {
        RULE_REPORT(report, token, "write %s without '0x'", what);
        return false;
    }
    if (!is_hex_glob(ret->pattern)) {
        RULE_REPORT(report, token,
                    "%s is %zu hex digits and nothing else; '*', '?' and [0-9] "
                    "stand for some",
                    what, n_digits);
        return false;
    }

    n = glob_min_length(ret->pattern, &open);
    if (n > n_digits) {
        RULE_REPORT(report, token, "%s has %zu hex digits, this has %zu", what,
                    n_digits, n);
        return false;
    }
    if (n < n_digits && !open) {
        RULE_REPORT(report, token,
                    "%s has %zu hex digits, this has %zu; write '%.*s*' for "
                    "all that begin so",
                    what, n_digits, n, (int) token->len, token->text);
        return false;
    }
    return true;
}

static bool parse_id(ConditionValue *ret,
                     const RuleToken *token,
                     RuleArena *arena,
                     RuleReport *report)
{
    const char *colon = memchr(token->text, ':', token->len);
    RuleToken vendor = *token, product = *token;

    if (!colon) {
        RULE_REPORT(report, token,
                    "an id is VENDOR:PRODUCT, as 1050:0407 or 1050:*");
        return false;
    }

    vendor.len = (size_t) (colon - token->text);
    product.text = colon + 1;
    product.len = token->len - vendor.len - 1;
    product.column = rule_report_column(token, vendor.len + 1);
    product.kind = RULE_TOKEN_WORD;
    if (vendor.len == 0 || product.len == 0) {
        RULE_REPORT(report, token,
                    "half of this id is missing; write '*' for any, as in "
                    "1050:*");
        return false;
    }

    /* both, so that what is wrong with either is told */
    return (int) make_hex_glob(&ret->glob, &vendor, ID_DIGITS,
                               "each half of an id", arena, report) &
           (int) make_hex_glob(&ret->product, &product, ID_DIGITS,
                               "each half of an id", arena, report);
}

static bool parse_type(int64_t *ret, const RuleToken *token, RuleReport *report)
{
    if (token_is(token, "disk")) {
        *ret = DEVICE_TYPE_DISK;
        return true;
    }
    if (token_is(token, "partition")) {
        *ret = DEVICE_TYPE_PARTITION;
        return true;
    }
    RULE_REPORT(report, token, "a type is 'disk' or 'partition', not %s",
                rule_show(token).s);
    return false;
}

static bool parse_yes_no(int64_t *ret,
                         const RuleToken *token,
                         RuleReport *report)
{
    if (token_is(token, "yes") || token_is(token, "no")) {
        *ret = token_is(token, "yes");
        return true;
    }
    RULE_REPORT(report, token, "'removable' is 'yes' or 'no', not %s",
                rule_show(token).s);
    return false;
}

static bool parse_partition(int64_t *ret,
                            const RuleToken *token,
                            RuleReport *report)
{
    if (parse_number(token->text, token->len, ret) && *ret >= 1 &&
        *ret <= RECORD_PARTITION_MAX)
        return true;

    RULE_REPORT(report, token, "a partition is a number from 1 to %d, not %s",
                RECORD_PARTITION_MAX, rule_show(token).s);
    return false;
}

static bool parse_size(int64_t *ret, const RuleToken *token, RuleReport *report)
{
    static const char units[] = "KMGT";
    size_t len = token->len;
    const char *unit = len > 0 ? strchr(units, token->text[len - 1]) : NULL;
    int64_t factor = 1, number;

    if (unit && *unit) {
        factor = INT64_C(1) << (10 * (unit - units + 1));
        len--;
    }
    if (!is_number(token->text, len)) {
        RULE_REPORT(report, token,
                    "a size is a number of bytes, or one with K, M, G or T, as "
                    "16G; %s is none",
                    rule_show(token).s);
        return false;
    }
    if (!parse_number(token->text, len, &number) ||
        __builtin_mul_overflow(number, factor, ret)) {
        RULE_REPORT(report, token,
                    "%s is more than any disk has; the largest is 8388607T",
                    rule_show(token).s);
        return false;
    }
    return true;
}

bool rule_value_parse(ConditionValue *ret,
                      ConditionKey key,
                      const RuleToken *token,
                      RuleArena *arena,
                      RuleReport *report)
{
    *ret = (ConditionValue){};

    switch (condition_key_form(key)) {
    case CONDITION_FORM_TEXT:
    case CONDITION_FORM_UUID:
        return make_glob(&ret->glob, token, condition_key_folds(key), arena,
                         report);
    case CONDITION_FORM_ID:
        return parse_id(ret, token, arena, report);
    case CONDITION_FORM_REVISION:
        return make_hex_glob(&ret->glob, token, REVISION_DIGITS, "a revision",
                             arena, report);
    case CONDITION_FORM_INTERFACES:
        return make_hex_glob(&ret->glob, token, INTERFACE_DIGITS,
                             "an interface", arena, report);
    case CONDITION_FORM_TYPE:
        return parse_type(&ret->number, token, report);
    case CONDITION_FORM_PARTITION:
        return parse_partition(&ret->number, token, report);
    case CONDITION_FORM_YES_NO:
        return parse_yes_no(&ret->number, token, report);
    case CONDITION_FORM_SIZE:
        return parse_size(&ret->number, token, report);
    }
    return false;
}

bool rule_frontend_parse(char ret[RULE_FRONTEND_MAX + 1],
                         const RuleToken *token,
                         RuleReport *report)
{
    if (token_begins(token, "xvd") && token->len == strlen("xvdX") &&
        token->text[3] >= 'a' && token->text[3] <= 'z') {
        memcpy(ret, token->text, token->len);
        ret[token->len] = '\0';
        return true;
    }
    RULE_REPORT(report, token,
                "'frontend' is the disk's name in the target, xvde to xvdz, "
                "not %s",
                rule_show(token).s);
    return false;
}

bool rule_timeout_parse(uint64_t *ret,
                        const RuleToken *token,
                        RuleReport *report)
{
    uint64_t usec = 1000000;
    size_t len = token->len;
    int64_t number;

    switch (len > 0 ? token->text[len - 1] : '\0') {
    case 's':
        len--;
        break;
    case 'm':
        usec *= 60;
        len--;
        break;
    case 'h':
        usec *= 3600;
        len--;
        break;
    }
    if (!is_number(token->text, len)) {
        RULE_REPORT(report, token,
                    "a timeout is a number with s, m or h, as 90s or 5m; %s is "
                    "none",
                    rule_show(token).s);
        return false;
    }
    if (!parse_number(token->text, len, &number) || number < 1 ||
        __builtin_mul_overflow(usec, (uint64_t) number, &usec) ||
        usec > RULE_TIMEOUT_MAX_USEC) {
        RULE_REPORT(report, token, "a timeout is from 1s to 1h, not %s",
                    rule_show(token).s);
        return false;
    }
    *ret = usec;
    return true;
}

/* What is wrong with any qube's name, as source and as target. */
static void report_name(RuleReport *report,
                        const RuleToken *token,
                        const char *what)
{
    if (token->len > QUBE_NAME_MAX) {
        RULE_REPORT(report, token, "a qube's name has at most %u characters",
                    QUBE_NAME_MAX);
        return;
    }
    if (memchr(token->text, ',', token->len)) {
        RULE_REPORT(report, token,
                    "no qube has the name %s; several are separated by blanks, "
                    "without commas, as { work vault }",
                    rule_show(token).s);
        return;
    }
    if (memchr(token->text, '*', token->len) ||
        memchr(token->text, '?', token->len)) {
        RULE_REPORT(report, token,
                    "%s is one qube by its whole name; patterns are for "
                    "conditions only",
                    what);
        return;
    }
    RULE_REPORT(report, token,
                "no qube can have the name %s: it begins with a letter and has "
                "only letters, digits, '-', '_' and '.'",
                rule_show(token).s);
}

bool rule_source_parse(QubeName *ret,
                       const RuleToken *token,
                       RuleReport *report)
{
    if (token_is(token, "dom0") || token_is(token, "@adminvm")) {
        RULE_REPORT(report, token,
                    "dom0 has no devices to give away; a source is a qube with "
                    "a USB controller, as sys-usb");
        return false;
    }
    if (token_begins(token, "@")) {
        RULE_REPORT(report, token,
                    "a source is a qube by its name; leave out 'from' for "
                    "every source that policy lets report");
        return false;
    }
    if (qube_name_parse(ret, token->text, token->len))
        return true;

    report_name(report, token, "a source");
    return false;
}

bool rule_target_parse(Target *ret, const RuleToken *token, RuleReport *report)
{
    static const char template[] = "@dispvm:";
    RuleToken name = *token;

    if (token_is(token, "dom0") || token_is(token, "@adminvm") ||
        token_is(token, "@dispvm:dom0")) {
        RULE_REPORT(report, token,
                    "dom0 is never a target: whoever made the device would get "
                    "at the whole system; name another qube");
        return false;
    }
    if (target_parse(ret, token->text, token->len))
        return true;

    if (token_begins(token, template)) {
        name.text += strlen(template);
        name.len -= strlen(template);
    }
    if (name.len == 0 || token_begins(&name, "@") || token_is(&name, "$dispvm"))
        RULE_REPORT(report, token,
                    "a target is a qube's name, @dispvm or @dispvm:TEMPLATE, "
                    "not %s",
                    rule_show(token).s);
    else
        report_name(report, &name, "a target");
    return false;
}
