/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/core/rule-condition.h"
#include "dom0/core/rule-text.h"
#include "dom0/core/rule-words.h"
#include "dom0/core/ruleset-build.h"
#include "tests/support/test.h"

typedef struct Fixture {
    Ruleset *ruleset;
    Diagnostics *diagnostics;
} Fixture;

static int setup(void **state)
{
    static Fixture fixture;

    assert_int_equal(ruleset_new(&fixture.ruleset), 0);
    assert_int_equal(diagnostics_new(&fixture.diagnostics), 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    Fixture *fixture = *state;

    assert_null(ruleset_unref(fixture->ruleset));
    assert_null(diagnostics_free(fixture->diagnostics));
    return 0;
}

static void add(Fixture *fixture, const char *name, const char *text)
{
    assert_int_equal(ruleset_add_file(fixture->ruleset, name, text,
                                      strlen(text), fixture->diagnostics),
                     0);
}

/* The message of error number @index, which must be there. */
static const char *message(const Fixture *fixture, size_t index)
{
    assert_true(index < diagnostics_count(fixture->diagnostics));
    return diagnostics_get(fixture->diagnostics, index)->message;
}

static Record record_of(DeviceClass class, const char *device)
{
    Record record = { .action = RECORD_ADD };

    record.class = class;
    assert_true(
        device_name_parse(&record.device, class, device, strlen(device)));
    return record;
}

static void test_rules_keep_their_order_over_files(void **state)
{
    Fixture *fixture = *state;

    add(fixture, "10-a.rules", "b: deny usb\na: deny block\n");
    add(fixture, "20-b.rules", "\nc: ask any to work\n");
    assert_int_equal(ruleset_count(fixture->ruleset), 3);
    assert_string_equal(ruleset_get(fixture->ruleset, 0)->name.s, "b");
    assert_string_equal(ruleset_get(fixture->ruleset, 1)->name.s, "a");
    assert_string_equal(ruleset_get(fixture->ruleset, 2)->name.s, "c");
    assert_string_equal(ruleset_get(fixture->ruleset, 2)->file, "20-b.rules");
    assert_int_equal(ruleset_get(fixture->ruleset, 2)->line, 2);
    assert_int_equal(diagnostics_count(fixture->diagnostics), 0);
}

static void test_every_part_of_a_rule_is_read(void **state)
{
    Fixture *fixture = *state;
    const Rule *rule;

    add(fixture, "a.rules",
        "a: ask block id 1050:0407 not serial x from { b c } to { d @dispvm } "
        "read-only frontend xvdi cdrom when-running timeout 5m quiet close\n");
    rule = ruleset_find(fixture->ruleset, "a");
    assert_non_null(rule);
    assert_int_equal(rule->action, RULE_ASK);
    assert_int_equal(rule->class, RULE_CLASS_BLOCK);
    assert_int_equal(rule->n_conditions, 2);
    assert_int_equal(rule->conditions[1].key, CONDITION_SERIAL);
    assert_true(rule->conditions[1].negated);
    assert_true(rule->whole_disks);
    assert_int_equal(rule->n_sources, 2);
    assert_string_equal(rule->sources[1].s, "c");
    assert_int_equal(rule->n_targets, 2);
    assert_int_equal(rule->targets[1].kind, TARGET_DISPVM_DEFAULT);
    assert_true(rule->options.read_only && rule->options.cdrom);
    assert_true(rule->options.quiet && rule->options.close);
    assert_string_equal(rule->options.frontend, "xvdi");
    assert_int_equal(rule->options.start, RULE_WHEN_RUNNING);
    assert_int_equal(rule->options.timeout_usec, UINT64_C(300) * 1000000);
}

static void test_the_places_of_its_parts_are_known(void **state)
{
    Fixture *fixture = *state;
    const Rule *rule;

    add(fixture, "a.rules",
        "\n  a: ask block id 1050:0407 \\\n   not serial x to { d @dispvm }\n");
    rule = ruleset_find(fixture->ruleset, "a");
    assert_non_null(rule);
    assert_int_equal(rule->line, 2);
    assert_int_equal(rule->column, 3);
    assert_int_equal(rule->condition_at[0].line, 2);
    assert_int_equal(rule->condition_at[0].column, 16);
    assert_int_equal(rule->condition_at[1].line, 3);
    assert_int_equal(rule->condition_at[1].column, 8);
    assert_int_equal(rule->target_at[1].line, 3);
    assert_int_equal(rule->target_at[1].column, 24);
}

static void test_what_is_not_said_has_its_default(void **state)
{
    Fixture *fixture = *state;
    const Rule *rule;

    add(fixture, "a.rules",
        "a: ask block to b quiet read-only timeout 5m if-running\n"
        "b: ask usb to b\n");
    rule = ruleset_find(fixture->ruleset, "b");
    assert_non_null(rule);
    assert_int_equal(rule->n_conditions, 0);
    assert_int_equal(rule->n_sources, 0);
    assert_false(rule->options.quiet || rule->options.read_only);
    assert_string_equal(rule->options.frontend, "");
    assert_int_equal(rule->options.start, RULE_START_TARGET);
    assert_int_equal(rule->options.timeout_usec, RULE_TIMEOUT_DEFAULT_USEC);
}

static void test_the_first_reason_for_no_match_is_told(void **state)
{
    Fixture *fixture = *state;
    Record disk = record_of(DEVICE_CLASS_BLOCK, "sda");
    Record usb = record_of(DEVICE_CLASS_USB, "2-1");
    QubeName sys_usb, other;
    size_t condition = 99;
    const Rule *rule;

    assert_true(qube_name_parse(&sys_usb, "sys-usb", 7));
    assert_true(qube_name_parse(&other, "other", 5));
    add(fixture, "a.rules",
        "a: ask block not serial x vendor v from sys-usb to work\n");
    rule = ruleset_find(fixture->ruleset, "a");
    assert_non_null(rule);

    assert_int_equal(rule_match(rule, &sys_usb, &usb, &condition),
                     RULE_OTHER_CLASS);
    assert_int_equal(rule_match(rule, &other, &disk, &condition),
                     RULE_OTHER_SOURCE);
    assert_int_equal(rule_match(rule, &sys_usb, &disk, NULL), RULE_CONDITION);
    assert_int_equal(condition, 99);
    assert_int_equal(rule_match(rule, &sys_usb, &disk, &condition),
                     RULE_CONDITION);
    assert_int_equal(condition, 1);

    assert_true(properties_set_text(&disk.properties, PROPERTY_SERIAL, "x", 1));
    assert_int_equal(rule_match(rule, &sys_usb, &disk, &condition),
                     RULE_CONDITION);
    assert_int_equal(condition, 0);
    assert_true(properties_set_number(&disk.properties, PROPERTY_PARTITION, 1));
    assert_int_equal(rule_match(rule, &sys_usb, &disk, &condition),
                     RULE_IMPLICIT_DISK);
}

static void test_zeroed_rules_and_records_match_nothing(void **state)
{
    const Rule nothing = {};
    const Record empty = {};
    Fixture *fixture = *state;
    QubeName source;

    assert_true(qube_name_parse(&source, "sys-usb", 7));
    add(fixture, "a.rules", "a: deny any\n");
    assert_null(ruleset_match(fixture->ruleset, &source, &empty));
    assert_int_equal(rule_match(&nothing, &source, &empty, NULL),
                     RULE_OTHER_CLASS);
}

static void test_an_empty_list_of_interfaces_is_lacking(void **state)
{
    Record usb = record_of(DEVICE_CLASS_USB, "2-1");
    Fixture *fixture = *state;
    QubeName source;

    assert_true(qube_name_parse(&source, "sys-usb", 7));
    usb.properties.present = UINT32_C(1) << PROPERTY_INTERFACES;
    add(fixture, "a.rules", "a: deny usb only-interface *\n");
    assert_null(ruleset_match(fixture->ruleset, &source, &usb));
    add(fixture, "b.rules", "b: deny usb not only-interface *\n");
    assert_non_null(ruleset_match(fixture->ruleset, &source, &usb));
}

/* Larger than the pieces in which memory is taken. */
static void test_a_rule_may_be_very_long(void **state)
{
    static const char begin[] = "a: deny usb serial {", end[] = " }";
    size_t n_values = CONDITION_VALUES_MAX, len = strlen(begin), value_len;
    Fixture *fixture = *state;
    char *text = calloc(n_values, GLOB_MAX + 3);
    const Rule *rule;

    assert_non_null(text);
    memcpy(text, begin, len);
    for (size_t i = 0; i < n_values; i++) {
        value_len = GLOB_MAX - i % 2;
        memcpy(text + len, " \"", 2);
        memset(text + len + 2, 'a' + (int) (i % 26), value_len);
        text[len + 2 + value_len] = '"';
        len += value_len + 3;
        if (len > (n_values - 2) * GLOB_MAX)
            break;
    }
    memcpy(text + len, end, sizeof(end));

    add(fixture, "a.rules", text);
    add(fixture, "b.rules", "b: deny usb\n");
    rule = ruleset_find(fixture->ruleset, "a");
    assert_non_null(rule);
    assert_string_equal(rule->text, text);
    assert_string_equal(ruleset_find(fixture->ruleset, "b")->text,
                        "b: deny usb");
    free(text);
}

static void test_a_name_is_unique_over_all_files(void **state)
{
    Fixture *fixture = *state;

    add(fixture, "10-a.rules", "# one\nstick: deny usb\n");
    add(fixture, "20-b.rules", "stick: deny block\nother: deny any\n");
    assert_int_equal(diagnostics_count(fixture->diagnostics), 1);
    assert_non_null(strstr(message(fixture, 0), "10-a.rules:2"));
    assert_string_equal(diagnostics_get(fixture->diagnostics, 0)->file,
                        "20-b.rules");
    assert_int_equal(ruleset_count(fixture->ruleset), 2);
    assert_int_equal(ruleset_find(fixture->ruleset, "stick")->class,
                     RULE_CLASS_USB);
}

static void test_a_refused_rule_is_not_found_but_takes_its_name(void **state)
{
    Fixture *fixture = *state;

    add(fixture, "a.rules", "stick: deny pci\n");
    assert_null(ruleset_find(fixture->ruleset, "stick"));
    assert_null(ruleset_find(fixture->ruleset, "nobody"));
    add(fixture, "b.rules", "stick: deny usb\n");
    assert_int_equal(diagnostics_count(fixture->diagnostics), 2);
    assert_non_null(strstr(message(fixture, 1), "a.rules:1"));
}

static void test_rules_are_equal_by_name_and_meaning_not_by_spelling(
    void **state)
{
    _cleanup_(ruleset_unrefp) Ruleset *other = NULL;
    Fixture *fixture = *state;
    Fixture second = { .diagnostics = fixture->diagnostics };

    assert_int_equal(ruleset_new(&other), 0);
    second.ruleset = other;
    add(fixture, "a.rules",
        "a: ask usb serial { x } to work timeout 60s\n"
        "b: ask usb to work\nc: ask usb to work\n");
    add(&second, "b.rules",
        "\n\na: ask usb \\\n serial \"\\x\" to { work } "
        "timeout 1m\nb: ask usb to work quiet\n");
    assert_true(rule_equal(ruleset_find(fixture->ruleset, "a"),
                           ruleset_find(other, "a")));
    assert_false(rule_equal(ruleset_find(fixture->ruleset, "b"),
                            ruleset_find(other, "b")));
    assert_false(rule_equal(ruleset_find(fixture->ruleset, "b"),
                            ruleset_find(fixture->ruleset, "c")));
}

static void test_a_condition_is_written_as_in_its_rule(void **state)
{
    Fixture *fixture = *state;
    const Rule *rule;
    char *text;

    add(fixture, "a.rules", "a: deny usb not id { ABCD:* 1050:0407 }\n");
    rule = ruleset_find(fixture->ruleset, "a");
    assert_non_null(rule);
    text = condition_to_text(&rule->conditions[0]);
    assert_string_equal(text, "not id { abcd:* 1050:0407 }");
    free(text);
}

static void test_the_text_need_not_end_in_nul_and_is_not_kept(void **state)
{
    Fixture *fixture = *state;
    const char *source = "abc: deny usb serial \"xyz\"";
    char *text = malloc(strlen(source));

    assert_non_null(text);
    memcpy(text, source, strlen(source));
    assert_int_equal(ruleset_add_file(fixture->ruleset, "a.rules", text,
                                      strlen(source), fixture->diagnostics),
                     0);
    memset(text, '!', strlen(source));
    free(text);
    assert_string_equal(ruleset_find(fixture->ruleset, "abc")->text,
                        "abc: deny usb serial \"xyz\"");
}

/* A good file cut anywhere is read without a crash, and never a longer rule. */
static void test_a_file_may_end_anywhere(void **state)
{
    static const char text[] =
        "a: ask block id { 1050:* 0[78]81:5581 } not fs-label \"a\\\"b\" \\\n"
        " from { sys-usb } to { work @dispvm:x } timeout 5m # end\n";

    (void) state;

    for (size_t len = 0; len < sizeof(text); len++) {
        Fixture fixture;
        char *exact = malloc(len + 1);

        assert_non_null(exact);
        memcpy(exact, text, len);
        assert_int_equal(ruleset_new(&fixture.ruleset), 0);
        assert_int_equal(diagnostics_new(&fixture.diagnostics), 0);
        assert_int_equal(ruleset_add_file(fixture.ruleset, "a.rules", exact,
                                          len, fixture.diagnostics),
                         0);
        assert_true(len == 0 || ruleset_count(fixture.ruleset) == 1 ||
                    diagnostics_count(fixture.diagnostics) > 0);
        free(exact);
        ruleset_unref(fixture.ruleset);
        diagnostics_free(fixture.diagnostics);
    }
}

/* @n rules that begin with the number @first. */
static char *many_rules(size_t first, size_t n)
{
    size_t size = n * 32 + 1, used = 0;
    char *text = malloc(size);

    assert_non_null(text);
    text[0] = '\0';
    for (size_t i = first; i < first + n; i++)
        used +=
            (size_t) snprintf(text + used, size - used, "r%zu:deny usb\n", i);
    return text;
}

static void test_one_rule_too_many_is_one_error(void **state)
{
    Fixture *fixture = *state;
    char *text = many_rules(0, RULESET_RULES_MAX);
    char name[16];

    add(fixture, "10-a.rules", text);
    free(text);
    assert_int_equal(diagnostics_count(fixture->diagnostics), 0);
    assert_int_equal(ruleset_count(fixture->ruleset), RULESET_RULES_MAX);
    for (size_t i = 0; i < RULESET_RULES_MAX; i++) {
        (void) snprintf(name, sizeof(name), "r%zu", i);
        assert_ptr_equal(ruleset_find(fixture->ruleset, name),
                         ruleset_get(fixture->ruleset, i));
    }

    text = many_rules(RULESET_RULES_MAX, 3);
    add(fixture, "20-b.rules", text);
    add(fixture, "30-c.rules", text);
    free(text);
    assert_int_equal(diagnostics_count(fixture->diagnostics), 1);
    assert_non_null(strstr(message(fixture, 0), "16384"));
    assert_int_equal(ruleset_count(fixture->ruleset), RULESET_RULES_MAX);
}

static void test_a_file_that_is_too_large_is_not_read(void **state)
{
    Fixture *fixture = *state;
    size_t size = RULESET_FILE_SIZE_MAX + 1;
    char *text = malloc(size);

    assert_non_null(text);
    memset(text, '\n', size);
    assert_int_equal(ruleset_add_file(fixture->ruleset, "a.rules", text,
                                      size - 1, fixture->diagnostics),
                     0);
    assert_int_equal(diagnostics_count(fixture->diagnostics), 0);
    assert_int_equal(ruleset_add_file(fixture->ruleset, "a.rules", text, size,
                                      fixture->diagnostics),
                     0);
    assert_int_equal(diagnostics_count(fixture->diagnostics), 1);
    assert_int_equal(diagnostics_get(fixture->diagnostics, 0)->line, 0);
    free(text);
}

static void test_a_referenced_ruleset_outlives_its_successor(void **state)
{
    Fixture *fixture = *state;
    Ruleset *kept;

    add(fixture, "a.rules", "a: deny usb\n");
    kept = ruleset_ref(fixture->ruleset);
    assert_ptr_equal(kept, fixture->ruleset);
    assert_null(ruleset_unref(fixture->ruleset));
    assert_string_equal(ruleset_find(kept, "a")->text, "a: deny usb");
    fixture->ruleset = kept;
    assert_null(ruleset_unref(NULL));
}

static void test_building_is_all_or_nothing(void **state)
{
    char good_name[] = "10.rules", bad_name[] = "20.rules";
    char good[] = "a: deny usb\n", bad[] = "b: deny\n";
    char error[] = "cannot be read";
    RulesFile list[] = {
        { .name = good_name, .contents = good, .len = strlen(good) },
        { .name = bad_name, .contents = bad, .len = strlen(bad) },
    };
    RulesFiles files = { .n_files = 1, .files = list };
    Fixture *fixture = *state;
    Ruleset *ruleset;

    assert_int_equal(ruleset_build(&ruleset, &files, fixture->diagnostics), 0);
    assert_non_null(ruleset);
    assert_int_equal(ruleset_count(ruleset), 1);
    assert_null(ruleset_unref(ruleset));

    files.n_files = 2;
    assert_int_equal(ruleset_build(&ruleset, &files, fixture->diagnostics), 0);
    assert_null(ruleset);
    assert_int_equal(diagnostics_count(fixture->diagnostics), 1);

    /* errors of another attempt do not count, errors of files do */
    list[1] = (RulesFile){ .name = bad_name, .error = error };
    assert_int_equal(ruleset_build(&ruleset, &files, fixture->diagnostics), 0);
    assert_null(ruleset);
    assert_string_equal(message(fixture, 1), "cannot be read");
    files.n_files = 1;
    assert_int_equal(ruleset_build(&ruleset, &files, fixture->diagnostics), 0);
    assert_non_null(ruleset);
    assert_null(ruleset_unref(ruleset));
}

static void test_no_files_are_no_rules_and_no_error(void **state)
{
    const RulesFiles files = {};
    Fixture *fixture = *state;
    Ruleset *ruleset;

    assert_int_equal(ruleset_build(&ruleset, &files, fixture->diagnostics), 0);
    assert_non_null(ruleset);
    assert_int_equal(ruleset_count(ruleset), 0);
    assert_null(ruleset_unref(ruleset));
}

static void test_a_misspelt_word_finds_its_neighbour(void **state)
{
    static const struct {
        const char *text;
        const char *meant;
    } words[] = {
        { "serail", "serial" },
        { "fs-uid", "fs-uuid" },
        { "readonly", "read-only" },
        { "form", "from" },
        { "Serial", "serial" },
        { "uuid", "fs-uuid" },
        { "qiuet", "quiet" },
        { "x", NULL },
        { "0123", NULL },
        { "", NULL },
        { "colour", NULL },
        { "when-runing", "when-running" },
    };
    const unsigned int kinds = 1U << RULE_WORD_CONDITION |
                               1U << RULE_WORD_OPTION | 1U << RULE_WORD_FROM;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        const char *meant =
            rule_word_suggest(words[i].text, strlen(words[i].text), kinds);

        if (words[i].meant)
            assert_string_equal(meant, words[i].meant);
        else
            assert_null(meant);
    }
}

static void test_actions_and_classes_have_their_words(void **state)
{
    (void) state;

    assert_string_equal(rule_action_to_string(RULE_ALLOW), "allow");
    assert_string_equal(rule_action_to_string(RULE_ASK), "ask");
    assert_string_equal(rule_action_to_string(RULE_DENY), "deny");
    assert_string_equal(rule_class_to_string(RULE_CLASS_BLOCK), "block");
    assert_string_equal(rule_class_to_string(RULE_CLASS_USB), "usb");
    assert_string_equal(rule_class_to_string(RULE_CLASS_ANY), "any");
    assert_null(rule_class_to_string(RULE_CLASS_INVALID));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_rules_keep_their_order_over_files),
        TEST(test_every_part_of_a_rule_is_read),
        TEST(test_the_places_of_its_parts_are_known),
        TEST(test_what_is_not_said_has_its_default),
        TEST(test_the_first_reason_for_no_match_is_told),
        TEST(test_zeroed_rules_and_records_match_nothing),
        TEST(test_an_empty_list_of_interfaces_is_lacking),
        TEST(test_a_rule_may_be_very_long),
        TEST(test_a_name_is_unique_over_all_files),
        TEST(test_a_refused_rule_is_not_found_but_takes_its_name),
        TEST(test_rules_are_equal_by_name_and_meaning_not_by_spelling),
        TEST(test_a_condition_is_written_as_in_its_rule),
        TEST(test_the_text_need_not_end_in_nul_and_is_not_kept),
        TEST(test_a_file_may_end_anywhere),
        TEST(test_one_rule_too_many_is_one_error),
        TEST(test_a_file_that_is_too_large_is_not_read),
        TEST(test_a_referenced_ruleset_outlives_its_successor),
        TEST(test_building_is_all_or_nothing),
        TEST(test_no_files_are_no_rules_and_no_error),
        TEST(test_a_misspelt_word_finds_its_neighbour),
        TEST(test_actions_and_classes_have_their_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
