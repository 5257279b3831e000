/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <locale.h>
#include <string.h>

#include "dom0/ctl/screen.h"
#include "dom0/ctl/show.h"
#include "tests/support/test.h"

typedef struct Rig {
    Terminal terminal;
    Screen screen;
    char *text;
    size_t len;
} Rig;

static void rig_begin(Rig *rig, bool is_terminal, size_t columns, bool whole)
{
    *rig = (Rig){ .terminal = { .is_terminal = is_terminal,
                                .has_utf8 = true,
                                .columns = columns,
                                .rows = 10 } };
    rig->terminal.out = open_memstream(&rig->text, &rig->len);
    assert_non_null(rig->terminal.out);
    screen_init(&rig->screen, &rig->terminal, whole);
}

static void rig_end(Rig *rig, const char *wanted)
{
    assert_int_equal(fclose(rig->terminal.out), 0);
    assert_string_equal(rig->text, wanted);
    free(rig->text);
}

static void test_text_is_broken_at_blanks(void **state)
{
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 24, false);
    screen_text(&rig.screen, STYLE_PLAIN, 2, 4, "one two three four five six");
    assert_int_equal(rig.screen.n_lines, 2);
    assert_int_equal(
        screen_height(&rig.screen, 2, 4, "one two three four five six"), 2);
    rig_end(&rig, "  one two three four\n    five six\n");
}

static void test_text_without_blanks_is_broken_where_it_must(void **state)
{
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 20, false);
    screen_text(&rig.screen, STYLE_PLAIN, 0, 0, "日本日本日本日本日本日本");
    rig_end(&rig, "日本日本日本日本日本\n日本\n");
}

static void test_elsewhere_a_line_is_a_line(void **state)
{
    Rig rig;

    (void) state;
    rig_begin(&rig, false, 20, false);
    screen_text(&rig.screen, STYLE_PLAIN, 2, 4,
                "one two three four five six seven");
    assert_true(screen_left(&rig.screen) == SIZE_MAX);
    rig_end(&rig, "  one two three four five six seven\n");
}

static void test_each_line_has_its_own_colour(void **state)
{
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 20, false);
    rig.terminal.has_colour = true;
    screen_text(&rig.screen, STYLE_WARNING, 1, 1, "one two three four five");
    rig_end(&rig, " \033[33mone two three four\033[0m\n"
                  " \033[33mfive\033[0m\n");
}

static void test_tables_are_aligned_by_width(void **state)
{
    static const ScreenRow rows[] = {
        { "NAME", "N", "X" },
        { "日本", "1", "a" },
        { "Gerät", "23", "b" },
        { "", "", "" },
    };
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 80, false);
    screen_table(&rig.screen, 2, 3, rows, ARRAY_SIZE(rows));
    assert_int_equal(rig.screen.n_lines, 4);
    rig_end(&rig, "  NAME   N   X\n"
                  "  日本   1   a\n"
                  "  Gerät  23  b\n"
                  "  \n");
}

static void test_elsewhere_cells_are_separated_by_tabs(void **state)
{
    static const ScreenRow rows[] = { { "NAME", "N" }, { "long name", "1" } };
    Rig rig;

    (void) state;
    rig_begin(&rig, false, 20, false);
    screen_table(&rig.screen, 2, 2, rows, ARRAY_SIZE(rows));
    rig_end(&rig, "NAME\tN\nlong name\t1\n");
}

static void test_a_wide_table_loses_from_its_widest_cells(void **state)
{
    static const ScreenRow rows[] = {
        { "NO", "NAME", "WHAT" },
        { "1", "日本日本日本日本日本", "abcdefgh" },
        { "2", "short", "x" },
    };
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 26, false);
    screen_table(&rig.screen, 0, 3, rows, ARRAY_SIZE(rows));
    rig_end(&rig, "NO  NAME          WHAT\n"
                  "1   日本日本...   abcdefgh\n"
                  "2   short         x\n");
}

static void test_the_first_cell_of_a_table_is_cut_last(void **state)
{
    static const ScreenRow rows[] = {
        { "DEVICE", "NAME", "TO" },
        { "sys-usb-front:sda", "\"SanDisk Ultra\"", "backups" },
    };
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 36, false);
    screen_table(&rig.screen, 0, 3, rows, ARRAY_SIZE(rows));
    rig_end(&rig, "DEVICE             NAME      TO\n"
                  "sys-usb-front:sda  \"San...\"  backups\n");
}

static void test_the_first_cell_of_a_table_has_half_of_it_at_most(void **state)
{
    static const ScreenRow rows[] = {
        { "DEVICE", "NAME", "TO" },
        { "sys-usb-at-the-front:sda", "\"SanDisk Ultra\"", "backups" },
    };
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 36, false);
    screen_table(&rig.screen, 0, 3, rows, ARRAY_SIZE(rows));
    rig_end(&rig, "DEVICE              NAME     TO\n"
                  "sys-usb-at-the-...  \"Sa...\"  backups\n");
}

static void test_quoted_words_stay_in_their_quotes_when_cut(void **state)
{
    static const ScreenRow rows[] = {
        { "NAME", "TO" },
        { "\"Evil\\u{202e} attached to\"", "work" },
    };
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 24, false);
    screen_table(&rig.screen, 0, 2, rows, ARRAY_SIZE(rows));
    rig_end(&rig, "NAME                TO\n"
                  "\"Evil\\u{202e} ...\"  work\n");
}

static void test_lines_are_counted_to_the_end_of_the_screen(void **state)
{
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 80, false);
    /* one of ten is the prompt's */
    assert_int_equal(screen_left(&rig.screen), 9);
    assert_int_equal(screen_rows_for(&rig.screen, 6, 3), 6);
    assert_int_equal(screen_rows_for(&rig.screen, 7, 3), 5);
    assert_int_equal(screen_rows_for(&rig.screen, 7, 9), 0);
    screen_gap(&rig.screen);
    screen_text(&rig.screen, STYLE_PLAIN, 0, 0, "one");
    screen_gap(&rig.screen);
    assert_int_equal(screen_left(&rig.screen), 7);
    screen_gap(&rig.screen);
    assert_int_equal(screen_left(&rig.screen), 7);
    screen_more(&rig.screen, 0, 2);
    screen_more(&rig.screen, 3, 2);
    assert_int_equal(screen_left(&rig.screen), 6);
    rig_end(&rig, "one\n\n  and 3 more, with -v\n");
}

static void test_a_whole_view_has_no_end(void **state)
{
    Rig rig;

    (void) state;
    rig_begin(&rig, true, 80, true);
    assert_true(screen_left(&rig.screen) == SIZE_MAX);
    assert_int_equal(screen_rows_for(&rig.screen, 1000, 3), 1000);
    screen_more(&rig.screen, 3, 0);
    rig_end(&rig, "and 3 more\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_broken_at_blanks),
        cmocka_unit_test(test_text_without_blanks_is_broken_where_it_must),
        cmocka_unit_test(test_elsewhere_a_line_is_a_line),
        cmocka_unit_test(test_each_line_has_its_own_colour),
        cmocka_unit_test(test_tables_are_aligned_by_width),
        cmocka_unit_test(test_elsewhere_cells_are_separated_by_tabs),
        cmocka_unit_test(test_a_wide_table_loses_from_its_widest_cells),
        cmocka_unit_test(test_the_first_cell_of_a_table_is_cut_last),
        cmocka_unit_test(test_the_first_cell_of_a_table_has_half_of_it_at_most),
        cmocka_unit_test(test_quoted_words_stay_in_their_quotes_when_cut),
        cmocka_unit_test(test_lines_are_counted_to_the_end_of_the_screen),
        cmocka_unit_test(test_a_whole_view_has_no_end),
    };

    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
