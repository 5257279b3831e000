/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Every file in tests/rules/good and tests/rules/bad
 *
 * A good file says in comments what must hold of it:
 *
 *     #= rule TEXT                        a rule, in normal form
 *     #= match SOURCE CLASS DEVICE KEY=VALUE... -> NAME
 *                                         the rule that takes this device, or
 *                                         "none"; a value with blanks is in
 *                                         double quotes, interfaces are
 *                                         separated by commas
 *
 * Beside a bad NAME.rules there is NAME.expected with all that is said of it.
 */

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "dom0/core/ruleset.h"
#include "tests/support/test.h"

#define N_GOOD_MIN 60U
#define N_BAD_MIN  80U
#define FILE_MAX   65536U
#define PATH_SIZE  1024U

#define MARK ".rules"

typedef struct Text {
    size_t len;
    char s[FILE_MAX + 1];
} Text;

static bool ends_in(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static void read_text(Text *ret, const char *folder, const char *name)
{
    char path[PATH_SIZE];
    FILE *file;

    (void) snprintf(path, sizeof(path), "%s/rules/%s/%s", TESTS_SOURCE_DIR,
                    folder, name);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be read", path);
    ret->len = fread(ret->s, 1, FILE_MAX, file);
    ret->s[ret->len] = '\0';
    assert_int_equal(fclose(file), 0);
    assert_true(ret->len < FILE_MAX);
}

typedef void (*CheckFn)(const char *name);

static size_t for_each_file(const char *folder, CheckFn check)
{
    char path[PATH_SIZE];
    struct dirent *entry;
    size_t n = 0;
    DIR *dir;

    (void) snprintf(path, sizeof(path), "%s/rules/%s", TESTS_SOURCE_DIR,
                    folder);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || ends_in(entry->d_name, ".expected"))
            continue;
        if (!ends_in(entry->d_name, MARK))
            fail_msg("%s does not belong into %s", entry->d_name, folder);
        check(entry->d_name);
        n++;
    }
    (void) closedir(dir);
    return n;
}

/* All that is said of a file, as a person sees it. */
static char *format_all(const Diagnostics *diagnostics)
{
    static char all[FILE_MAX];
    size_t used = 0;

    all[0] = '\0';
    for (size_t i = 0; i < diagnostics_count(diagnostics); i++) {
        char *text = diagnostic_format(diagnostics_get(diagnostics, i));

        assert_non_null(text);
        used += (size_t) snprintf(all + used, sizeof(all) - used, "%s", text);
        assert_true(used < sizeof(all));
        free(text);
    }
    return all;
}

static void set_property(Record *record, const char *key, const char *value)
{
    Properties *properties = &record->properties;
    PropertyKey property = property_from_name(key);
    char copy[RECORD_LONG_MAX + 1];

    if (property == (PropertyKey) N_PROPERTIES)
        fail_msg("there is no property %s", key);
    switch (property_form(property)) {
    case PROPERTY_FORM_HEX4_LOWER:
    case PROPERTY_FORM_HEX4:
    case PROPERTY_FORM_TEXT:
    case PROPERTY_FORM_DEVTYPE:
        assert_true(
            properties_set_text(properties, property, value, strlen(value)));
        break;
    case PROPERTY_FORM_NUMBER:
        assert_true(properties_set_number(properties, property,
                                          strtoll(value, NULL, 10)));
        break;
    case PROPERTY_FORM_BOOL:
        properties_set_bool(properties, property, strcmp(value, "true") == 0);
        break;
    case PROPERTY_FORM_INTERFACES:
        (void) snprintf(copy, sizeof(copy), "%s", value);
        for (char *code = strtok(copy, ","); code; code = strtok(NULL, ","))
            assert_true(
                properties_add_interface(properties, code, strlen(code)));
        break;
    }
}

/* The next word, up to a blank that is not in quotes, which are dropped. */
static char *next_word(char **text)
{
    char *word, *to;
    bool quoted = false;

    while (**text == ' ')
        (*text)++;
    word = to = *text;
    for (; **text && (quoted || **text != ' '); (*text)++) {
        if (**text == '"')
            quoted = !quoted;
        else
            *to++ = **text;
    }
    if (**text)
        (*text)++;
    *to = '\0';
    return word;
}

/* SOURCE CLASS DEVICE KEY=VALUE... */
static void parse_record(char *text, QubeName *ret_source, Record *ret)
{
    char *word = next_word(&text);

    *ret = (Record){ .action = RECORD_ADD };
    assert_true(qube_name_parse(ret_source, word, strlen(word)));
    ret->class = device_class_from_string(next_word(&text));
    word = next_word(&text);
    assert_true(
        device_name_parse(&ret->device, ret->class, word, strlen(word)));

    for (word = next_word(&text); *word; word = next_word(&text)) {
        char *value = strchr(word, '=');

        assert_non_null(value);
        *value++ = '\0';
        set_property(ret, word, value);
    }
}

static void expect_match(const Ruleset *ruleset, char *text, const char *file)
{
    char line[2 * PATH_SIZE];
    char *arrow = strstr(text, " -> ");
    const Rule *rule;
    QubeName source;
    Record record;

    assert_non_null(arrow);
    (void) snprintf(line, sizeof(line), "%s", text);
    *arrow = '\0';
    parse_record(text, &source, &record);

    rule = ruleset_match(ruleset, &source, &record);
    if (strcmp(rule ? rule->name.s : "none", arrow + strlen(" -> ")) != 0)
        fail_msg("%s: %s: it is %s", file, line, rule ? rule->name.s : "none");
}

static void expect_rule(const Ruleset *ruleset,
                        const char *text,
                        const char *file)
{
    char name[RULE_NAME_MAX + 1] = "";
    size_t len = strcspn(text, ":");
    const Rule *rule;

    assert_true(len < sizeof(name));
    memcpy(name, text, len);
    rule = ruleset_find(ruleset, name);
    if (!rule)
        fail_msg("%s: there is no rule %s", file, name);
    else if (strcmp(rule->text, text) != 0)
        fail_msg("%s: %s: it is %s", file, text, rule->text);
}

static size_t check_expectations(const Ruleset *ruleset,
                                 char *text,
                                 const char *file)
{
    size_t n = 0;
    char *rest;

    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "#=", 2) != 0)
            continue;
        n++;
        if (strncmp(line, "#= rule ", 8) == 0)
            expect_rule(ruleset, line + 8, file);
        else if (strncmp(line, "#= match ", 9) == 0)
            expect_match(ruleset, line + 9, file);
        else
            fail_msg("%s: what is %s?", file, line);
    }
    return n;
}

static void check_good(const char *name)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    static Text text;

    read_text(&text, "good", name);
    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(
        ruleset_add_file(ruleset, name, text.s, text.len, diagnostics), 0);
    assert_string_equal(format_all(diagnostics), "");

    if (check_expectations(ruleset, text.s, name) == 0)
        fail_msg("%s does not say what must hold of it", name);
}

static void check_bad(const char *name)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    static Text text, expected;
    char expected_name[PATH_SIZE];
    const char *said;

    (void) snprintf(expected_name, sizeof(expected_name), "%.*s.expected",
                    (int) (strlen(name) - strlen(MARK)), name);
    read_text(&text, "bad", name);
    read_text(&expected, "bad", expected_name);
    assert_true(expected.len > 0);

    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(
        ruleset_add_file(ruleset, name, text.s, text.len, diagnostics), 0);
    said = format_all(diagnostics);
    if (strcmp(said, expected.s) != 0)
        fail_msg("of %s was said:\n%sinstead of:\n%s", name, said, expected.s);
}

static void test_good_files_mean_what_they_say(void **state)
{
    (void) state;

    assert_true(for_each_file("good", check_good) >= N_GOOD_MIN);
}

static void test_bad_files_are_refused_with_the_expected_words(void **state)
{
    (void) state;

    assert_true(for_each_file("bad", check_bad) >= N_BAD_MIN);
}

static void test_every_expectation_has_its_file(void **state)
{
    struct dirent *entry;
    DIR *dir = opendir(TESTS_SOURCE_DIR "/rules/bad");

    (void) state;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        static Text text;
        char name[PATH_SIZE];

        if (!ends_in(entry->d_name, ".expected"))
            continue;
        (void) snprintf(name, sizeof(name), "%.*s%s",
                        (int) (strlen(entry->d_name) - strlen(".expected")),
                        entry->d_name, MARK);
        read_text(&text, "bad", name);
    }
    (void) closedir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files_mean_what_they_say),
        cmocka_unit_test(test_bad_files_are_refused_with_the_expected_words),
        cmocka_unit_test(test_every_expectation_has_its_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
