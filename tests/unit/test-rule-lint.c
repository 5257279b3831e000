/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/core/rule-lint.h"
#include "tests/support/test.h"

#define TEXT_SIZE 8192U

static const QubeName known_qubes[] = {
    { "debian-dvm" },
    { "sys-usb" },
    { "vault" },
    { "work" },
};

/* All that is said of these rules, a line each: LINE:COLUMN MESSAGE */
static const char *lint_with(const char *rules,
                             const QubeName *qubes,
                             size_t n_qubes)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    RulesFile file = { .name = (char[]){ "a.rules" } };
    const RuleLintHelp help = {
        .files = &file,
        .n_files = 1,
        .qubes = qubes,
        .n_qubes = n_qubes,
    };
    static char said[TEXT_SIZE];
    size_t len = 0;

    file.contents = strdup(rules);
    file.len = strlen(rules);
    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_add_file(ruleset, file.name, file.contents,
                                      file.len, diagnostics),
                     0);
    if (diagnostics_count(diagnostics) > 0)
        fail_msg("%s: %s", rules, diagnostics_get(diagnostics, 0)->message);
    assert_int_equal(rule_lint(ruleset, &help, diagnostics), 0);
    free(file.contents);

    said[0] = '\0';
    for (size_t i = 0; i < diagnostics_count(diagnostics); i++) {
        const Diagnostic *diagnostic = diagnostics_get(diagnostics, i);

        assert_int_equal(diagnostic->level, DIAGNOSTIC_WARNING);
        assert_string_equal(diagnostic->file, "a.rules");
        assert_non_null(diagnostic->source_line);
        len += (size_t) snprintf(said + len, sizeof(said) - len, "%u:%u %s\n",
                                 diagnostic->line, diagnostic->column,
                                 diagnostic->message);
        assert_true(len < sizeof(said));
    }
    return said;
}

static const char *lint(const char *rules)
{
    return lint_with(rules, NULL, 0);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Exactly one thing is said, and it begins with this and holds that. */
static void expect_one(const char *rules, const char *begin, const char *part)
{
    const char *said = lint(rules);

    if (count_lines(said) != 1 || strncmp(said, begin, strlen(begin)) != 0 ||
        !strstr(said, part))
        fail_msg("of\n%s\nwas said:\n%s\nnot: %s...%s", rules, said, begin,
                 part);
}

static void expect_nothing(const char *rules)
{
    const char *said = lint(rules);

    if (*said)
        fail_msg("of\n%s\nwas said:\n%s", rules, said);
}

/* The second of two rules, of what follows a common class. */
static void expect_shadow(const char *first, const char *second)
{
    char rules[TEXT_SIZE];

    (void) snprintf(rules, sizeof(rules), "a: %s\nb: %s\n", first, second);
    expect_one(rules, "2:1 'b' can never match: 'a' (line 1) comes first",
               "takes all that it would");
}

static void expect_no_shadow(const char *first, const char *second)
{
    char rules[TEXT_SIZE];
    const char *said;

    (void) snprintf(rules, sizeof(rules), "a: %s\nb: %s\n", first, second);
    said = lint(rules);
    if (strstr(said, "never"))
        fail_msg("of\n%s\nwas said:\n%s", rules, said);
}

static void test_the_examples_of_the_design_are_clean(void **state)
{
    (void) state;

    expect_nothing(
        "yubikey:   allow usb   id 1050:0407 serial \"0012345678\" from sys-usb"
        " to vault\n"
        "backup:    ask   block id 0781:5581 fs-uuid 3F2A-91C0 from sys-usb to"
        " backups read-only when-running\n"
        "headset:   allow usb   id 046d:0a8f path \"pci-0000:00:06.0-usb-0:2\""
        " to calls if-running\n"
        "printers:  ask   usb   interface { 0701* } to { print office }\n"
        "any-stick: ask   block type disk to { untrusted @dispvm:media-dvm }\n"
        "no-hid:    deny  usb   interface { 03* }\n");
}

static void test_an_earlier_rule_that_takes_all_is_named(void **state)
{
    (void) state;

    expect_shadow("deny block", "ask block type disk to work");
    expect_shadow("deny any", "deny usb id 1050:0407");
    expect_shadow("deny any", "deny block type partition");
    expect_shadow("ask block serial x to w",
                  "ask block serial x type disk to y");
    expect_shadow("deny usb id 1050:*", "deny usb id 1050:0407");
    expect_shadow("deny usb id 1050:*", "deny usb id 1050:????");
    expect_shadow("deny usb id 1050:????", "deny usb id 1050:*");
    expect_shadow("deny usb id 10*:0407", "deny usb id 1050:0407");
    expect_shadow("deny usb serial 0123456789*", "deny usb serial 01234567890");
    expect_shadow("deny usb id *:*", "deny usb id { 1050:0407 1111:* }");
    expect_shadow("deny usb id ABCD:00E?", "deny usb id abcd:00ef");
    expect_shadow("deny usb serial { a* b* }", "deny usb serial { b1 a? }");
    expect_shadow("deny usb serial a*", "deny usb serial a*b");
    expect_shadow("deny usb serial [a-f]*", "deny usb serial { [b-c]x d }");
    expect_shadow("deny usb serial { a [b-z] }", "deny usb serial [a-q]");
    expect_shadow("deny usb serial *", "deny usb serial ?*");
    expect_shadow("deny usb not serial a*", "deny usb not serial { a* b }");
    expect_shadow("deny usb not serial a*", "deny usb serial { b* cd }");
    expect_shadow("deny usb not serial { x y }", "deny usb serial a");
    expect_shadow("deny usb revision *", "deny usb revision ????");
    expect_shadow("deny block fs-uuid AB-*", "deny block fs-uuid ab-1");
    expect_shadow("deny block name *", "deny block name sd[a-z]");
    expect_shadow("deny block min-size 1G", "deny block min-size 2G");
    expect_shadow("deny block not min-size 2G", "deny block max-size 1G");
    expect_shadow("deny block not max-size 1G", "deny block min-size 2G");
    expect_shadow("deny block not removable no", "deny block removable yes");
    expect_shadow("deny block type { disk partition }",
                  "deny block partition 3 type partition");
    expect_shadow("deny block partition { 1 2 3 }", "deny block partition 2");
    expect_shadow("deny usb from { a b }", "deny usb serial 1 from b");
}

static void test_what_is_not_sure_is_not_said(void **state)
{
    (void) state;

    expect_no_shadow("deny block", "deny usb");
    expect_no_shadow("deny usb", "deny any");
    expect_no_shadow("deny usb from sys-usb", "deny usb");
    expect_no_shadow("deny usb from { a b }", "deny usb from { b c }");
    expect_no_shadow("ask block to x", "deny block");
    expect_no_shadow("ask block to x", "ask block partition 1 to y");
    expect_no_shadow("ask block to x", "ask block not type partition to y");
    expect_no_shadow("deny usb serial a", "deny usb");
    expect_no_shadow("deny usb serial *", "deny usb");
    expect_no_shadow("deny usb serial *", "deny usb not serial a");
    expect_no_shadow("deny usb serial a", "deny usb serial A");
    expect_no_shadow("deny usb serial a*", "deny usb serial *a");
    expect_no_shadow("deny usb serial ?", "deny usb serial [ab]*");
    expect_no_shadow("deny usb not serial a", "deny usb not serial b");
    expect_no_shadow("deny usb not serial a*", "deny usb serial ?b");
    expect_no_shadow("deny usb id 1050:0407", "deny usb id 1050:04??");
    expect_no_shadow("deny usb not id 1050:*", "deny usb id *:0407");
    expect_no_shadow("deny block min-size 1G", "deny block max-size 2G");
    expect_no_shadow("deny block not min-size 1G", "deny block max-size 1G");
    expect_no_shadow("deny block not max-size 1G", "deny block min-size 1G");
    expect_no_shadow("deny block removable yes", "deny block not removable no");
    expect_no_shadow("deny block type disk", "deny block not type partition");
    expect_no_shadow("deny block type partition", "deny block partition 1");
    expect_no_shadow("deny block name sd*", "deny block");
    /* a device need not say what type it is of */
    expect_no_shadow("ask block type disk to x", "ask block serial x to y");
}

static void test_interfaces_are_those_of_one_device(void **state)
{
    (void) state;

    expect_shadow("deny usb interface 03*", "deny usb interface 0301*");
    expect_shadow("deny usb interface 03*", "deny usb only-interface 0301*");
    expect_shadow("deny usb interface { 03* 08* }",
                  "deny usb only-interface { 03* 08* }");
    expect_shadow("deny usb only-interface { 03* 08* }",
                  "deny usb only-interface 08*");
    expect_shadow("deny usb interface 03*",
                  "deny usb interface { 03* 08* } not interface 08*");
    expect_shadow("deny usb not interface 03*", "deny usb only-interface 08*");
    expect_shadow("deny usb not only-interface 03*", "deny usb interface 08*");
    expect_shadow("deny usb interface 0*", "deny usb interface 030101 "
                                           "interface 080650");

    expect_no_shadow("deny usb interface 03*", "deny usb interface 08*");
    expect_no_shadow("deny usb interface 08*",
                     "deny usb only-interface { 03* 08* }");
    expect_no_shadow("deny usb only-interface 03*", "deny usb interface 03*");
    expect_no_shadow("deny usb not interface 03*", "deny usb interface 08*");
    expect_no_shadow("deny usb interface 03*",
                     "deny usb not only-interface 08*");
    expect_no_shadow("deny usb not only-interface 03*",
                     "deny usb not interface 08*");
}

static void test_the_first_of_several_is_named(void **state)
{
    (void) state;

    expect_one("a: deny usb serial x\nb: deny usb serial [a-z]\n"
               "c: deny usb\nd: deny usb serial q\n",
               "4:1 'd' can never match: 'b' (line 2)", "");
}

static void test_conditions_that_exclude_each_other_are_told(void **state)
{
    (void) state;

    expect_one("a: deny block min-size 2G max-size 1G\n", "1:27 'a' can never",
               "size");
    expect_one("a: deny block type disk partition 1\n", "1:25 'a' can never",
               "type and partition");
    expect_one("a: deny usb serial a serial b\n", "1:22 'a' can never",
               "serial");
    expect_one("a: deny usb serial ab* not serial { a* }\n", "1:28 'a' can ",
               "serial");
    expect_one("a: deny usb id 1050:* id *:04?? not id { [01]*:* }\n",
               "1:37 'a' can never", "id");
    expect_one("a: deny block removable yes not removable yes\n",
               "1:33 'a' can never", "removable");
    expect_one("a: deny usb only-interface 03* interface 08*\n",
               "1:32 'a' can never", "interfaces");
    expect_one("a: deny usb only-interface 03* not interface 0*\n",
               "1:36 'a' can never", "interfaces");
    expect_one("a: deny block name SDA\n", "1:15 'a' can never", "name");
    expect_nothing("a: deny usb not only-interface 03* not interface *\n");
    expect_nothing("a: deny usb not serial * not serial a\n");
    expect_nothing("a: deny block not min-size 1 not max-size 1\n");
    expect_nothing("a: deny usb interface 03* interface 08*\n");
    expect_one("a: deny block min-size 2 not min-size 2\n", "1:30 'a' can ",
               "size");
    expect_one("a: deny block min-size 1 not max-size 8388607T "
               "max-size 8388607T\n",
               "1:48 'a' can never", "size");
}

static void test_a_rule_that_never_matches_has_no_other_fault(void **state)
{
    (void) state;

    expect_one("a: deny block\nb: allow block fs-label x to work\n",
               "2:1 'b' can never", "");
}

static void test_a_target_that_does_not_exist_is_told(void **state)
{
    static const char rules[] =
        "a: ask usb id 1050:* to { work wrok @dispvm }\n"
        "b: ask usb serial 1 to @dispvm:nosuch\n"
        "c: ask usb serial 2 to { vault @dispvm:debian-dvm }\n"
        "d: ask usb serial 1 to gone\n";

    (void) state;

    assert_string_equal(
        lint_with(rules, known_qubes, ARRAY_SIZE(known_qubes)),
        "1:32 there is no qube 'wrok'; nothing can be attached to it\n"
        "2:24 there is no disposable template 'nosuch'; nothing can be "
        "attached to it\n"
        "4:1 'd' can never match: 'b' (line 2) comes first and takes all that "
        "it would; move it up, or remove it\n"
        "4:24 there is no qube 'gone'; nothing can be attached to it\n");
    expect_nothing("a: ask usb id 1050:* to wrok\n");
}

static void test_a_source_that_does_not_exist_is_told(void **state)
{
    static const char rules[] = "a: deny block from sys-usbb\n"
                                "b: deny usb from { sys-usb nosuch }\n";

    (void) state;

    assert_string_equal(
        lint_with(rules, known_qubes, ARRAY_SIZE(known_qubes)),
        "1:20 there is no qube 'sys-usbb'; no device comes from it\n"
        "2:28 there is no qube 'nosuch'; no device comes from it\n");
    expect_nothing(rules);
}

static void test_allow_by_content_alone_is_told(void **state)
{
    (void) state;

    expect_one("a: allow block fs-uuid x to work\n", "1:16 'a' allows by what",
               "'ask'");
    expect_one("a: allow block type disk part-label x min-size 1G to work\n",
               "1:26 'a' allows by what", "");
    expect_one("a: allow block not serial x not fs-type vfat to w\n",
               "1:33 'a' allows by what", "");
    expect_nothing("a: allow block fs-uuid x id 1050:0407 to work\n");
    expect_nothing("a: allow block fs-uuid x path y to work\n");
    expect_nothing("a: ask block fs-uuid x to work\n");
    expect_nothing("a: deny block fs-uuid x\n");
}

static void test_allow_for_keyboards_and_mice_is_told(void **state)
{
    (void) state;

    expect_one("a: allow usb interface 03* to work\n", "1:14 'a' takes key",
               "not interface { 030101 030102 }");
    expect_one("a: allow usb id 046d:* only-interface { 0e* 0301?? } to w\n",
               "1:24 'a' takes keyboards", "");
    expect_one("a: allow usb path x to work\n", "1:1 'a' takes keyboards", "");
    expect_one("a: allow any vendor Logitech to work\n", "1:1 'a' takes key",
               "");
    expect_nothing(
        "a: allow usb path x not interface { 030101 030102 } to w\n");
    expect_nothing("a: allow usb path x only-interface 08* to w\n");
    expect_nothing("a: allow usb id 046d:0a8f to work\n");
    expect_nothing("a: allow usb interface 0e* to work\n");
    expect_nothing("a: allow usb interface 030000 to work\n");
    expect_nothing("a: ask usb interface 03* to work\n");
    expect_nothing("a: deny usb interface 03*\nb: allow usb path x to work\n");
    expect_one("a: deny usb interface 03* from x\nb: allow usb path x to w\n",
               "2:1 'b' takes keyboards", "");
}

static void test_attaching_without_a_condition_is_told(void **state)
{
    (void) state;

    expect_one("a: ask block to work\n",
               "1:1 'a' has no condition: it takes "
               "any disk;",
               "add one");
    expect_one("a: allow usb from sys-usb to work\n", "1:1 'a' has no cond",
               "any USB device, keyboards and mice too");
    expect_one("  a: allow any to work\n", "1:3 'a' has no condition", "any");
    expect_nothing("a: deny any\n");
}

static void test_conditions_that_any_device_meets_are_told(void **state)
{
    (void) state;

    expect_one("a: allow block type disk from sys-usb to work\n",
               "1:1 'a' has no condition that tells devices apart: it takes "
               "any disk;",
               "");
    expect_one("a: allow block type { disk partition } to work\n", "1:1 'a' ",
               "tells devices apart");
    expect_one("a: ask usb id *:* to work\n", "1:1 'a' has no condition that",
               "keyboards and mice too");
    expect_one("a: ask any serial ** vendor { x * } to work\n", "1:1 'a' has",
               "tells devices apart");
    expect_one("a: allow block fs-uuid * to work\n", "1:1 'a' has no condit",
               "tells devices apart");
    /* to be asked of all disks may well be meant */
    expect_nothing("a: ask block type disk to work\n");
    expect_nothing("a: allow block type disk serial x to work\n");
    expect_nothing("a: allow usb id 0781:* to work\n");
    expect_nothing("a: ask usb id *:5581 to work\n");
    expect_nothing("a: ask block not serial * to work\n");
    expect_nothing("a: ask block min-size 1G to work\n");
    expect_nothing("a: deny usb serial *\n");
}

static void test_disposables_are_not_waited_for(void **state)
{
    (void) state;

    expect_one("a: allow block id 0781:5581 to @dispvm if-running\n",
               "1:32 'if-running' has no effect where only disposables",
               "also at boot");
    expect_one("a: ask usb id 0781:5581 to { @dispvm @dispvm:media-dvm } "
               "when-running\n",
               "1:30 'when-running' has no effect", "'a' has one made");
    expect_nothing("a: ask block serial x to @dispvm close\n");
    expect_nothing("a: ask block serial x to { work @dispvm } when-running\n");
    expect_nothing("a: ask block serial x to work if-running\n");
}

static void test_two_rules_for_one_plug_are_told(void **state)
{
    (void) state;

    expect_one("a: ask usb id 0781:5581 to work\n"
               "b: ask block id 0781:* to vault\n",
               "2:1 'b' and 'a' (line 1) would take the same plug", "");
    expect_one("b: ask block id 0781:* to vault\n"
               "a: ask usb id 0781:5581 serial x to work\n",
               "2:1 'a' and 'b' (line 1) would take the same plug", "");
    expect_one("a: ask usb interface 08* to w\nb: ask block type disk to x\n",
               "2:1 'b' and 'a'", "");
    expect_one(
        "a: ask usb not serial x to w\nb: ask block serial { x y } to x\n",
        "2:1 'b' and 'a'", "");
    expect_one("a: ask usb path p* to w\nb: ask block path p1 to x\n",
               "2:1 'b' and 'a'", "");
    expect_one("a: ask usb vendor S* to w\nb: ask block vendor Sa* to x\n",
               "2:1 'b' and 'a'", "");
    expect_nothing("a: ask usb path p1 to w\nb: ask block path p2 to x\n");
    /* who knows whether it has a disk */
    expect_nothing(
        "a: ask usb id 0bda:8153 path p* to w\nb: ask block path p* to x\n");
    expect_one("b: ask block id 0781:* to w\na: ask any id 0781:5581 to x\n",
               "2:1 'a' and 'b'", "");
    expect_one("b: ask usb id 0781:* to w\na: ask any id 0781:5581 to x\n",
               "2:1 'a' and 'b'", "");

    expect_nothing(
        "a: ask usb id 0781:5581 to w\nb: ask block id 1050:* to x\n");
    expect_nothing(
        "a: ask usb id 0781:5581 to w\nb: ask block type disk to x\n");
    expect_nothing(
        "a: ask usb serial x to w\nb: ask block not serial x to x\n");
    expect_nothing("a: deny usb id 0781:5581\nb: ask block id 0781:* to x\n");
    expect_nothing(
        "a: ask usb interface 07* to w\nb: ask block type disk to x\n");
    expect_nothing("a: ask usb id 0781:5581 not interface 08* to w\n"
                   "b: ask block id 0781:5581 to x\n");
    expect_nothing("a: ask usb id 0781:5581 from u to w\n"
                   "b: ask block id 0781:5581 from v to x\n");
    expect_nothing("a: ask any id 0781:* to w\nb: ask usb id 07*:5581 to x\n");
    expect_nothing("a: ask any id 0781:* to w\nb: ask any id 07*:5581 to x\n");
    /* an earlier rule has it */
    expect_nothing("no: deny usb interface 08*\na: ask usb id 0781:5581 to w\n"
                   "b: ask block id 0781:5581 to x\n");
    expect_nothing("no: deny block id 0781:5581\na: ask usb id 0781:5581 to w\n"
                   "b: ask block id 0781:* to x\n");
    expect_nothing("no: deny usb interface 08* from u\n"
                   "a: ask usb id 0781:5581 to w\n"
                   "b: ask block id 0781:5581 from u to x\n");
}

static void test_too_much_work_is_told_once(void **state)
{
    static char rules[1024 * 1024];
    const char *said;
    size_t len = 0;

    (void) state;
    SKIP_UNDER_VALGRIND();

    for (size_t i = 0; i < 5000; i++)
        len += (size_t) snprintf(rules + len, sizeof(rules) - len,
                                 "r%zu: deny usb serial \"*%05zu*\"\n", i, i);
    said = lint(rules);
    assert_int_equal(count_lines(said), 1);
    assert_non_null(strstr(said, "not all compared with each other"));
}

static void test_a_warning_shows_the_line_it_is_about(void **state)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    RulesFile files[] = {
        { .name = (char[]){ "a.rules" },
          .contents = (char[]){ "#\n\na: deny "
                                "any" } },
        { .name = (char[]){ "b.rules" },
          .contents = (char[]){ "\nb: deny \\\nusb\n" } },
    };
    const RuleLintHelp help = { .files = files, .n_files = 2 };

    (void) state;

    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    for (size_t i = 0; i < 2; i++) {
        files[i].len = strlen(files[i].contents);
        assert_int_equal(ruleset_add_file(ruleset, files[i].name,
                                          files[i].contents, files[i].len,
                                          diagnostics),
                         0);
    }
    assert_int_equal(rule_lint(ruleset, &help, diagnostics), 0);
    assert_int_equal(diagnostics_count(diagnostics), 1);
    assert_string_equal(diagnostics_get(diagnostics, 0)->file, "b.rules");
    assert_string_equal(diagnostics_get(diagnostics, 0)->source_line,
                        "b: deny \\");
    assert_non_null(
        strstr(diagnostics_get(diagnostics, 0)->message, "'a' (a.rules:3)"));
}

static void test_a_long_path_does_not_push_the_line_out(void **state)
{
    _cleanup_(ruleset_unrefp) Ruleset *ruleset = NULL;
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    const RuleLintHelp help = {};
    static char file[200] = "/home/";
    const char *message;

    (void) state;

    while (strlen(file) + strlen("\u00fc") + strlen("/a.rules") < sizeof(file))
        (void) strcat(file, "\u00fc");
    (void) strcat(file, "/a.rules");
    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_add_file(ruleset, file, "a: deny any\n",
                                      strlen("a: deny any\n"), diagnostics),
                     0);
    assert_int_equal(ruleset_add_file(ruleset, "b.rules", "b: deny usb\n",
                                      strlen("b: deny usb\n"), diagnostics),
                     0);
    assert_int_equal(rule_lint(ruleset, &help, diagnostics), 0);
    assert_int_equal(diagnostics_count(diagnostics), 1);
    message = diagnostics_get(diagnostics, 0)->message;
    assert_non_null(strstr(message, "/a.rules:1) comes first"));
    assert_non_null(strstr(message, "'a' (...\u00fc"));
    assert_null(strstr(message, "\\x"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_of_the_design_are_clean),
        cmocka_unit_test(test_an_earlier_rule_that_takes_all_is_named),
        cmocka_unit_test(test_what_is_not_sure_is_not_said),
        cmocka_unit_test(test_interfaces_are_those_of_one_device),
        cmocka_unit_test(test_the_first_of_several_is_named),
        cmocka_unit_test(test_conditions_that_exclude_each_other_are_told),
        cmocka_unit_test(test_a_rule_that_never_matches_has_no_other_fault),
        cmocka_unit_test(test_a_target_that_does_not_exist_is_told),
        cmocka_unit_test(test_a_source_that_does_not_exist_is_told),
        cmocka_unit_test(test_allow_by_content_alone_is_told),
        cmocka_unit_test(test_allow_for_keyboards_and_mice_is_told),
        cmocka_unit_test(test_attaching_without_a_condition_is_told),
        cmocka_unit_test(test_conditions_that_any_device_meets_are_told),
        cmocka_unit_test(test_disposables_are_not_waited_for),
        cmocka_unit_test(test_two_rules_for_one_plug_are_told),
        cmocka_unit_test(test_too_much_work_is_told_once),
        cmocka_unit_test(test_a_warning_shows_the_line_it_is_about),
        cmocka_unit_test(test_a_long_path_does_not_push_the_line_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
