/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dom0/io/rules-dir.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

static sd_event *event;
static RulesDir *dir;
static char folder[] = "/tmp/test-rules-dir-XXXXXX";
static size_t n_changes;

static void on_change(void *userdata)
{
    assert_ptr_equal(userdata, &n_changes);
    n_changes++;
}

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static size_t next;
    char *path = paths[next++ % 4];

    (void) snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    (void) state;

    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    assert_return_code(sd_event_new(&event), 0);
    n_changes = 0;
    loop_divisor = 1;
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    dir = rules_dir_free(dir);
    event = sd_event_unref(event);
    (void) unlink(in_folder("rules.d/a.rules"));
    (void) unlink(in_folder("rules.d/b.rules"));
    (void) rmdir(in_folder("rules.d"));
    (void) unlink(in_folder("rules.d"));
    (void) unlink(in_folder("a.rules"));
    (void) unlink(in_folder("old.d/a.rules"));
    (void) rmdir(in_folder("old.d"));
    (void) rmdir(in_folder("etc/rules.d"));
    (void) rmdir(in_folder("etc"));
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static void watch(const char *path)
{
    assert_int_equal(rules_dir_new(&dir, event, path, on_change, &n_changes),
                     0);
    loop_settle(event);
    assert_int_equal(n_changes, 0);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(in_folder(name), 0700), 0);
}

/* Whether what was done is told, and once. */
static void expect_change(void)
{
    LOOP_UNTIL(event, n_changes > 0);
    loop_settle(event);
    assert_int_equal(n_changes, 1);
    n_changes = 0;
}

static void expect_none(void)
{
    loop_settle(event);
    assert_int_equal(n_changes, 0);
}

static int create(const char *name)
{
    int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static void write_text(int fd)
{
    assert_int_equal(write(fd, "# text\n", 7), 7);
}

static void test_a_file_is_told_of_when_it_is_closed(void **state)
{
    int fd;

    (void) state;

    make_folder("rules.d");
    watch(in_folder("rules.d"));
    fd = create("rules.d/a.rules");
    expect_none(); /* it is being written */
    write_text(fd);
    expect_none();
    fd_close(fd);
    expect_change();
    fd_close(create("rules.d/a.rules")); /* opened for writing again */
    expect_change();
}

static void test_every_change_of_a_name_is_told(void **state)
{
    (void) state;

    make_folder("rules.d");
    fd_close(create("rules.d/a.rules"));
    fd_close(create("a.rules"));
    watch(in_folder("rules.d"));

    assert_int_equal(
        rename(in_folder("rules.d/a.rules"), in_folder("rules.d/b.rules")), 0);
    expect_change();
    assert_int_equal(rename(in_folder("a.rules"), in_folder("rules.d/a.rules")),
                     0);
    expect_change();
    assert_int_equal(chmod(in_folder("rules.d/a.rules"), 0640), 0);
    expect_change();
    assert_int_equal(unlink(in_folder("rules.d/b.rules")), 0);
    expect_change();
    assert_int_equal(symlink("a.rules", in_folder("rules.d/b.rules")), 0);
    expect_change();
    assert_int_equal(unlink(in_folder("rules.d/b.rules")), 0);
    expect_change();
    assert_int_equal(
        link(in_folder("rules.d/a.rules"), in_folder("rules.d/b.rules")), 0);
    expect_change();
    assert_int_equal(rename(in_folder("rules.d/b.rules"), in_folder("a.rules")),
                     0);
    expect_change();
}

static void test_many_changes_at_once_are_told_once(void **state)
{
    (void) state;

    make_folder("rules.d");
    watch(in_folder("rules.d"));
    for (size_t i = 0; i < 100; i++) {
        fd_close(create("rules.d/a.rules"));
        assert_int_equal(unlink(in_folder("rules.d/a.rules")), 0);
    }
    expect_change();
}

static void test_a_folder_that_comes_is_found(void **state)
{
    (void) state;

    watch(in_folder("etc/rules.d"));
    make_folder("etc");
    expect_change();
    make_folder("etc/rules.d");
    expect_change();
    /* the two in one turn */
    assert_int_equal(rmdir(in_folder("etc/rules.d")), 0);
    assert_int_equal(rmdir(in_folder("etc")), 0);
    expect_change();
    make_folder("etc");
    make_folder("etc/rules.d");
    expect_change();
    fd_close(create("a.rules"));
    expect_none();
    assert_int_equal(chmod(in_folder("etc/rules.d"), 0750), 0);
    expect_change();
}

static void test_a_folder_that_is_replaced_is_followed(void **state)
{
    (void) state;

    make_folder("rules.d");
    watch(in_folder("rules.d"));
    assert_int_equal(rename(in_folder("rules.d"), in_folder("old.d")), 0);
    make_folder("rules.d");
    expect_change();
    fd_close(create("rules.d/a.rules"));
    expect_change();
    fd_close(create("old.d/a.rules"));
    expect_none();
}

static void test_a_folder_that_goes_and_comes_back_is_followed(void **state)
{
    (void) state;

    make_folder("rules.d");
    watch(in_folder("rules.d"));
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(rmdir(in_folder("rules.d")), 0);
        if (i % 2)
            expect_change();
        make_folder("rules.d");
        expect_change();
        fd_close(create("rules.d/a.rules"));
        expect_change();
        assert_int_equal(unlink(in_folder("rules.d/a.rules")), 0);
        expect_change();
    }
}

static void test_slashes_at_the_end_make_no_difference(void **state)
{
    char path[128];

    (void) state;

    (void) snprintf(path, sizeof(path), "%s///", in_folder("rules.d"));
    watch(path);
    make_folder("rules.d");
    expect_change();
    fd_close(create("rules.d/a.rules"));
    expect_change();
}

static void test_a_file_in_place_of_the_folder_is_no_folder(void **state)
{
    (void) state;

    fd_close(create("rules.d"));
    watch(in_folder("rules.d"));
    assert_int_equal(unlink(in_folder("rules.d")), 0);
    make_folder("rules.d");
    expect_change();
    fd_close(create("rules.d/a.rules"));
    expect_change();
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        test(test_a_file_is_told_of_when_it_is_closed),
        test(test_every_change_of_a_name_is_told),
        test(test_many_changes_at_once_are_told_once),
        test(test_a_folder_that_comes_is_found),
        test(test_a_folder_that_is_replaced_is_followed),
        test(test_a_folder_that_goes_and_comes_back_is_followed),
        test(test_slashes_at_the_end_make_no_difference),
        test(test_a_file_in_place_of_the_folder_is_no_folder),
    };
#undef test

    return cmocka_run_group_tests(tests, NULL, NULL);
}
