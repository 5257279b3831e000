/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as a rule file
 *
 * Reading them never crashes. Either something is said against them, or each
 * rule's normal form reads back as an equal rule that renders the same, and
 * what is hardly meant is only warned of. The rules of a good file are those
 * that stand there, all their words and no others. Their targets and options
 * can go into requests of qubesd, and one that is taken out leaves the others
 * as they are.
 */

#include <stdlib.h>
#include <string.h>

#include "dom0/core/rule-lines.h"
#include "dom0/core/rule-lint.h"
#include "dom0/core/ruleset.h"
#include "tests/fuzz/taken.h"
#include "tests/support/request-header.h"
#include "tests/support/rule-form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* what is large is slow: only with sizes that this divides */
#define LIMIT_EVERY 1280U

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void format_all(const Diagnostics *diagnostics)
{
    for (size_t i = 0; i < diagnostics_count(diagnostics); i++) {
        char *text = diagnostic_format(diagnostics_get(diagnostics, i));

        require(text && text[0] != '\0');
        free(text);
    }
}

static void read_again(const Rule *rule)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;

    require(ruleset_new(&ruleset) == 0 && diagnostics_new(&diagnostics) == 0);
    require(ruleset_add_file(ruleset, "again.rules", rule->text,
                             strlen(rule->text), diagnostics) == 0);
    require(diagnostics_count(diagnostics) == 0);
    require(ruleset_count(ruleset) == 1);
    require(rule_equal(ruleset_get(ruleset, 0), rule));
}

static void match_some(const Ruleset *ruleset)
{
    Record record = { .class = DEVICE_CLASS_BLOCK };
    QubeName source;

    require(qube_name_parse(&source, "sys-usb", 7));
    require(properties_set_text(&record.properties, PROPERTY_SERIAL, "ab", 2));
    (void) ruleset_match(ruleset, &source, &record);
}

static void lint(const Ruleset *ruleset, const char *text, size_t len)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    char name[] = "fuzz.rules";
    const RulesFile file = { name, (char *) (uintptr_t) text, len, NULL };
    const RuleLintHelp help = { .files = &file, .n_files = 1 };

    require(diagnostics_new(&diagnostics) == 0);
    require(rule_lint(ruleset, &help, diagnostics) == 0);
    for (size_t i = 0; i < diagnostics_count(diagnostics); i++)
        require(diagnostics_get(diagnostics, i)->level == DIAGNOSTIC_WARNING);
    format_all(diagnostics);
}

/* Each target can be started or made, and a disk attached to it in this way. */
static void require_requests(const Rule *rule)
{
    AdminRequest request = { .method = ADMIN_ATTACH,
                             .class = DEVICE_CLASS_BLOCK,
                             .dest = { "work" },
                             .backend = { "sys-usb" },
                             .port = { "sda" } };

    request.options.read_only = rule->options.read_only;
    request.options.cdrom = rule->options.cdrom;
    require(strlen(rule->options.frontend) < sizeof(request.options.frontend));
    memcpy(request.options.frontend, rule->options.frontend,
           strlen(rule->options.frontend));
    require(request_header_is_true(&request));
    for (size_t i = 0; i < rule->n_targets; i++)
        if (rule->targets[i].kind != TARGET_DISPVM_DEFAULT)
            require(request_of_qube_is_true(&rule->targets[i].name));
}

/* With a comment behind it, of the largest size, it is the same; a byte more is
 * too much. */
static void require_limit(const Ruleset *ruleset, const char *text, size_t len)
{
    _cleanup_(ruleset_unrefp) Ruleset *largest = NULL, *larger = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    _cleanup_(freep) char *file = malloc(RULESET_FILE_SIZE_MAX + 1);

    require(file && len < RULESET_FILE_SIZE_MAX);
    memset(file, '#', RULESET_FILE_SIZE_MAX + 1);
    memcpy(file, text, len);
    file[len] = '\n';
    require(ruleset_new(&largest) == 0 && ruleset_new(&larger) == 0 &&
            diagnostics_new(&diagnostics) == 0);
    require(ruleset_add_file(largest, "largest.rules", file,
                             RULESET_FILE_SIZE_MAX, diagnostics) == 0);
    require(diagnostics_count(diagnostics) == 0);
    require(ruleset_count(largest) == ruleset_count(ruleset));
    require(ruleset_add_file(larger, "larger.rules", file,
                             RULESET_FILE_SIZE_MAX + 1, diagnostics) == 0);
    require(diagnostics_count(diagnostics) == 1);
    require(ruleset_count(larger) == 0);
}

/* Without the rule number @out. */
static void take_out(const Ruleset *ruleset,
                     size_t out,
                     const char *text,
                     size_t len)
{
    _cleanup_(ruleset_unrefp) Ruleset *rest = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    _cleanup_(freep) char *copy = malloc(len + 1);
    RuleSpan span = rule_lines_find(text, len, ruleset_get(ruleset, out)->line);
    size_t n = ruleset_count(ruleset);

    require(copy != NULL);
    require(span.start < span.end && span.end <= len);
    memcpy(copy, text, span.start);
    memcpy(copy + span.start, text + span.end, len - span.end);
    require(ruleset_new(&rest) == 0 && diagnostics_new(&diagnostics) == 0);
    require(ruleset_add_file(rest, "rest.rules", copy,
                             len - (span.end - span.start), diagnostics) == 0);
    require(diagnostics_count(diagnostics) == 0);
    require(ruleset_count(rest) == n - 1);
    for (size_t i = 0; i < n - 1; i++)
        require(rule_equal(ruleset_get(rest, i),
                           ruleset_get(ruleset, i < out ? i : i + 1)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *) data;
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;

    require(ruleset_new(&ruleset) == 0 && diagnostics_new(&diagnostics) == 0);
    require(ruleset_add_file(ruleset, "fuzz.rules", text, size, diagnostics) ==
            0);
    fuzz_set_taken(diagnostics_count(diagnostics) == 0);
    format_all(diagnostics);
    match_some(ruleset);
    for (size_t i = 0; i < ruleset_count(ruleset); i++)
        read_again(ruleset_get(ruleset, i));
    if (diagnostics_count(diagnostics) > 0)
        return 0;
    lint(ruleset, text, size);
    require(form_are_rules(ruleset, (Bytes){ text, size }));
    for (size_t i = 0; i < ruleset_count(ruleset); i++)
        require_requests(ruleset_get(ruleset, i));
    if (size % LIMIT_EVERY == 0)
        require_limit(ruleset, text, size);
    if (ruleset_count(ruleset) > 0) {
        take_out(ruleset, 0, text, size);
        take_out(ruleset, ruleset_count(ruleset) / 2, text, size);
        take_out(ruleset, ruleset_count(ruleset) - 1, text, size);
    }
    return 0;
}
