/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Rules that are suggested for a device, which chose all the words of its
 * record: each reads back without an error, takes that device, and shows
 * nothing that cannot be seen. The first byte says which of them, and which
 * class of characters.
 */

#include <assert.h>
#include <string.h>

#include "common/wire/record-wire.h"
#include "dom0/core/rule-compose.h"
#include "dom0/core/rule-suggest.h"
#include "dom0/core/ruleset.h"
#include "tests/fuzz/taken.h"
#include "tests/support/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ASCII 0x80U

static const QubeName source = { "sys-usb" };
static const Target target = { TARGET_QUBE, { "work" } };

static void check_text(const char *shown, bool ascii)
{
    Bytes text = { shown, strlen(shown) };

    while (text.len > 0) {
        uint32_t c;
        size_t n = unicode_first(&c, text);

        assert(n > 0 && !unicode_is_control(c) && !unicode_is_hidden(c));
        assert(!ascii || c < 0x7f);
        text = bytes_behind(text, n);
    }
}

static void check_rule(const char *text, const Record *record)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    int r;

    r = ruleset_new(&ruleset);
    assert(r == 0);
    r = diagnostics_new(&diagnostics);
    assert(r == 0);
    r = ruleset_add_file(ruleset, "made", text, strlen(text), diagnostics);
    assert(r == 0 && diagnostics_count(diagnostics) == 0);
    assert(ruleset_count(ruleset) == 1);
    assert(ruleset_match(ruleset, &source, record));
}

/* A part of a disk that calls itself something else is taken by no rule. */
static bool is_contradictory(const Record *record)
{
    const Properties *properties = &record->properties;
    bool has_type = properties_have(properties, PROPERTY_DEVTYPE);
    bool has_number = properties_have(properties, PROPERTY_PARTITION);

    return record->class == DEVICE_CLASS_BLOCK && has_type &&
           (properties->devtype == DEVICE_TYPE_USB_DEVICE ||
            (properties->devtype == DEVICE_TYPE_DISK && has_number));
}

static void check(const Record *record, uint8_t choice)
{
    RuleSuggestion suggestions[RULE_SUGGESTIONS_MAX];
    const size_t n = rule_suggest(record, suggestions);
    const RuleSuggestion *suggestion;
    _cleanup_(freep) char *text = NULL;
    RuleSpec spec;

    assert(n >= 1 && n <= RULE_SUGGESTIONS_MAX);
    suggestion = &suggestions[(choice & 0x7fU) % n];
    for (size_t i = 0; i < suggestion->n_keys; i++)
        assert(rule_compose_has(suggestion->keys[i], record));
    spec = (RuleSpec){ .name = { "made" },
                       .action = RULE_ASK,
                       .keys = suggestion->keys,
                       .n_keys = suggestion->n_keys,
                       .source = source,
                       .targets = &target,
                       .n_targets = 1,
                       .options = { .start = RULE_WHEN_RUNNING,
                                    .timeout_usec = RULE_TIMEOUT_DEFAULT_USEC },
                       .ascii = (choice & ASCII) != 0 };
    text = rule_compose(&spec, record);
    assert(text);
    check_text(text, spec.ascii);
    if (!is_contradictory(record))
        check_rule(text, record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WireMessage message;

    fuzz_set_taken(size > 0 &&
                   wire_decode(&message, (const char *) data + 1, size - 1,
                               NULL) == STATUS_INVALID &&
                   message.type == WIRE_EVENT);
    if (fuzz_was_taken())
        check(&message.record, data[0]);
    return 0;
}
