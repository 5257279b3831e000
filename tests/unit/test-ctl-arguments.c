/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/ctl/arguments.h"
#include "dom0/ctl/nearest.h"
#include "tests/support/test.h"

#define WORDS_MAX 16

typedef struct Line {
    char text[256];
    char *argv[WORDS_MAX];
    int argc;
} Line;

/* The words of @text, separated by single blanks, behind a program's name. */
static void line_begin(Line *ret, const char *text)
{
    char *rest = ret->text, *word;

    assert_true(strlen(text) + 5 < sizeof(ret->text));
    strcpy(ret->text, "prog ");
    strcat(ret->text, text);
    ret->argc = 0;
    while ((word = strsep(&rest, " ")) && *word)
        ret->argv[ret->argc++] = word;
}

static void parse(Line *line, Arguments *ret, const char *text)
{
    ArgumentsError error;

    line_begin(line, text);
    assert_true(arguments_parse(ret, &error, line->argc, line->argv));
}

static void refuse(const char *text, const char *wanted)
{
    ArgumentsError error;
    Arguments arguments;
    Line line;

    line_begin(&line, text);
    assert_false(arguments_parse(&arguments, &error, line.argc, line.argv));
    assert_string_equal(error.s, wanted);
}

static void test_options_may_stand_anywhere(void **state)
{
    static const char *const texts[] = {
        "--json check a b -q", "check --json a -q b", "check a b --json -q",
        "-q --json check a b", "check a -q -- b",
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        Arguments arguments;
        Line line;

        parse(&line, &arguments, texts[i]);
        assert_string_equal(arguments.command, "check");
        assert_int_equal(arguments.n_operands, 2);
        assert_string_equal(arguments.operands[0], "a");
        assert_string_equal(arguments.operands[1], "b");
        assert_true(arguments_have(&arguments, OPTION_QUIET));
        assert_int_equal(arguments_have(&arguments, OPTION_JSON),
                         strstr(texts[i], "--json") != NULL);
        assert_false(arguments_have(&arguments, OPTION_VERBOSE));
    }
}

static void test_two_dashes_end_the_options(void **state)
{
    Arguments arguments;
    Line line;

    (void) state;
    parse(&line, &arguments, "check -- --json -q -- -");
    assert_int_equal(arguments.given, 0);
    assert_int_equal(arguments.n_operands, 4);
    assert_string_equal(arguments.operands[0], "--json");
    assert_string_equal(arguments.operands[2], "--");
    assert_string_equal(arguments.operands[3], "-");

    parse(&line, &arguments, "-- check --help");
    assert_string_equal(arguments.command, "check");
    assert_int_equal(arguments.given, 0);
}

static void test_values_come_behind_or_in_the_same_word(void **state)
{
    Arguments arguments;
    Line line;

    (void) state;
    parse(&line, &arguments, "status --socket /a");
    assert_string_equal(arguments.values[OPTION_SOCKET], "/a");
    parse(&line, &arguments, "--socket=/b=c status");
    assert_string_equal(arguments.values[OPTION_SOCKET], "/b=c");
    parse(&line, &arguments, "status --socket=");
    assert_string_equal(arguments.values[OPTION_SOCKET], "");
    /* a value may look like an option */
    parse(&line, &arguments, "status --socket --json");
    assert_string_equal(arguments.values[OPTION_SOCKET], "--json");
    assert_false(arguments_have(&arguments, OPTION_JSON));
    refuse("status --socket", "--socket needs a value");
    refuse("status --json=1", "--json takes no value");
}

static void test_letters_may_stand_together(void **state)
{
    Arguments arguments;
    Line line;

    (void) state;
    parse(&line, &arguments, "-qvh");
    assert_null(arguments.command);
    assert_true(arguments_have(&arguments, OPTION_QUIET));
    assert_true(arguments_have(&arguments, OPTION_VERBOSE));
    assert_true(arguments_have(&arguments, OPTION_HELP));
    refuse("-qx", "unknown option -x; see qvm-autoattach --help");
    refuse("-\033", "unknown option -\\u{1b}; see qvm-autoattach --help");
}

static void test_the_value_of_a_letter_comes_behind_or_in_the_same_word(
    void **state)
{
    static const char *const texts[] = { "-n 5 -f", "-n5 -f", "-fn5", "-fn 5",
                                         "--number=5 --follow" };

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        Arguments arguments;
        Line line;

        parse(&line, &arguments, texts[i]);
        assert_string_equal(arguments.values[OPTION_NUMBER], "5");
        assert_true(arguments_have(&arguments, OPTION_FOLLOW));
        assert_null(arguments.command);
    }
    refuse("history -n", "-n needs a value");
    refuse("history -fn", "-n needs a value");
}

/* Not even if it is the same list. */
static void test_a_list_is_given_once(void **state)
{
    Arguments arguments;
    Line line;

    (void) state;
    refuse("add a sda --to work --to vault",
           "--to is given twice; a list has commas, as --to a,b");
    refuse("add a sda --match=id --to work --match=id",
           "--match is given twice; a list has commas, as --match a,b");
    /* of what is no list, the last one counts */
    parse(&line, &arguments, "status --socket a --socket b");
    assert_string_equal(arguments.values[OPTION_SOCKET], "b");
}

static void test_unknown_options_get_the_nearest_right_one(void **state)
{
    (void) state;
    refuse("--jsn", "unknown option --jsn; did you mean --json?");
    refuse("--jso=1", "unknown option --jso; did you mean --json?");
    refuse("--verb", "unknown option --verb; did you mean --verbose?");
    refuse("--xyzzy", "unknown option --xyzzy; see qvm-autoattach --help");
    refuse("--\033[1m",
           "unknown option --\\u{1b}[1m; see qvm-autoattach --help");
}

/* Rules have this word, and who wants it need not ask for it. */
static void test_what_is_the_default_is_told(void **state)
{
    (void) state;
    refuse("--when-running",
           "unknown option --when-running; leave it out: without --start and "
           "--if-running a rule waits until its qube runs");
}

static void test_an_option_is_refused_where_it_has_no_meaning(void **state)
{
    ArgumentsError error;
    Arguments arguments;
    Line line;

    (void) state;
    parse(&line, &arguments, "check --socket /a --json");
    assert_true(arguments_allow(
        &arguments, OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET), &error));
    assert_false(arguments_allow(&arguments, OPTIONS_COMMON, &error));
    assert_string_equal(error.s, "check takes no --socket");
}

static void test_distance_counts_slips(void **state)
{
    (void) state;
    assert_int_equal(nearest_distance("status", "status"), 0);
    assert_int_equal(nearest_distance("", "abc"), 3);
    assert_int_equal(nearest_distance("stauts", "status"), 1);
    assert_int_equal(nearest_distance("statu", "status"), 1);
    assert_int_equal(nearest_distance("stratus", "status"), 1);
    assert_int_equal(nearest_distance("statos", "status"), 1);
    assert_int_equal(nearest_distance("chekc", "status"), 6);
    assert_true(nearest_distance("a word of more than thirty-two letters",
                                 "status") == SIZE_MAX);
}

static void test_the_nearest_word_is_offered_if_it_is_near(void **state)
{
    (void) state;
    assert_string_equal(nearest_pick("chekc", NULL, "check"), "check");
    assert_string_equal(nearest_pick("st", NULL, "status"), "status");
    assert_null(nearest_pick("s", NULL, "status"));
    assert_null(nearest_pick("attach", NULL, "check"));
    assert_string_equal(nearest_pick("checks", "chicks", "check"), "chicks");
    assert_string_equal(nearest_pick("check", "chicks", "check"), "check");
}

static int last_run;

static int run_first(const Arguments *arguments, Terminal *terminal)
{
    (void) arguments;
    (void) fputs("first\n", terminal->out);
    last_run = 1;
    return 3;
}

static const Command first = { .name = "first",
                               .summary = "the first one",
                               .help = "HELP\n",
                               .options = OPTIONS_COMMON,
                               .operand = "a WORD",
                               .operands_min = 1,
                               .operands_max = 1,
                               .run = run_first };

/* Run a line; answers the exit status. */
static int run(const char *text, char **ret_output)
{
    static const Command *const commands[] = { &first };
    Terminal terminal = {};
    Line line;
    size_t len;
    int status;

    last_run = 0;
    line_begin(&line, text);
    terminal.out = open_memstream(ret_output, &len);
    assert_non_null(terminal.out);
    status = command_main(commands, 1, line.argc, line.argv, &terminal);
    assert_int_equal(fclose(terminal.out), 0);
    return status;
}

static void assert_run(const char *text, int status, const char *output)
{
    char *got;

    assert_int_equal(run(text, &got), status);
    assert_string_equal(got, output);
    free(got);
}

static void test_a_command_is_run_or_explained(void **state)
{
    char *help;

    (void) state;
    assert_run("first a", 3, "first\n");
    assert_int_equal(last_run, 1);
    assert_run("first --help", 0, "HELP\n");
    assert_int_equal(last_run, 0);
    assert_run("--version", 0, "qvm-autoattach " AUTOATTACH_VERSION "\n");
    assert_run("first --version", 0, "qvm-autoattach " AUTOATTACH_VERSION "\n");
    assert_int_equal(run("--help", &help), 0);
    assert_non_null(strstr(help, "  first      the first one\n"));
    free(help);
}

static void test_wrong_usage_runs_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        "second",
        "fist",
        "first",
        "first a b",
        "first --socket x",
        "first --nope",
        "--",
        "-q",
        "second --help",
        "second --version",
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_run(texts[i], CTL_EXIT_USAGE, "");
    assert_int_equal(last_run, 0);
}

/* A full disk is not success, but does not hide a failure either. */
static void test_output_that_is_lost_is_a_failure(void **state)
{
    static const Command *const commands[] = { &first };
    Terminal terminal = { .out = fopen("/dev/full", "we") };
    Line line;

    (void) state;
    assert_non_null(terminal.out);
    line_begin(&line, "first --help");
    assert_int_equal(command_main(commands, 1, line.argc, line.argv, &terminal),
                     CTL_EXIT_UNREACHABLE);
    line_begin(&line, "first a");
    assert_int_equal(command_main(commands, 1, line.argc, line.argv, &terminal),
                     3);
    (void) fclose(terminal.out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_may_stand_anywhere),
        cmocka_unit_test(test_two_dashes_end_the_options),
        cmocka_unit_test(test_values_come_behind_or_in_the_same_word),
        cmocka_unit_test(test_letters_may_stand_together),
        cmocka_unit_test(
            test_the_value_of_a_letter_comes_behind_or_in_the_same_word),
        cmocka_unit_test(test_a_list_is_given_once),
        cmocka_unit_test(test_unknown_options_get_the_nearest_right_one),
        cmocka_unit_test(test_what_is_the_default_is_told),
        cmocka_unit_test(test_an_option_is_refused_where_it_has_no_meaning),
        cmocka_unit_test(test_distance_counts_slips),
        cmocka_unit_test(test_the_nearest_word_is_offered_if_it_is_near),
        cmocka_unit_test(test_a_command_is_run_or_explained),
        cmocka_unit_test(test_wrong_usage_runs_nothing),
        cmocka_unit_test(test_output_that_is_lost_is_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
