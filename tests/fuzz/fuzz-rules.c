/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Any bytes as a rule file
 *
 * Reading them never crashes. Either something is said against them, or each
 * rule's normal form reads back as an equal rule that renders the same.
 */

#include <stdlib.h>
#include <string.h>

#include "dom0/core/ruleset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;

    require(ruleset_new(&ruleset) == 0 && diagnostics_new(&diagnostics) == 0);
    require(ruleset_add_file(ruleset, "fuzz.rules", (const char *) data, size,
                             diagnostics) == 0);
    format_all(diagnostics);
    match_some(ruleset);
    for (size_t i = 0; i < ruleset_count(ruleset); i++)
        read_again(ruleset_get(ruleset, i));
    return 0;
}
