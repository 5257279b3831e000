/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/io/state-file.h"
#include "tests/support/test.h"

static char folder[] = "/tmp/test-state-file-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];

    (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    (void) state;

    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    (void) unlink(path_of("state"));
    (void) unlink(path_of("state.bad"));
    (void) unlink(path_of("state.next"));
    (void) rmdir(path_of("state"));
    return rmdir(folder);
}

static int read_it(size_t max)
{
    char *text = NULL;
    size_t len = 0;
    int r = state_file_read(&text, &len, folder, max);

    free(text);
    return r < 0 ? r : (int) len;
}

static void test_what_was_written_is_read(void **state)
{
    char *text;
    size_t len;

    (void) state;

    assert_int_equal(read_it(10), -ENOENT);
    assert_int_equal(state_file_write(folder, "one", 3), 0);
    assert_int_equal(state_file_write(folder, "second", 6), 0);
    assert_int_equal(state_file_read(&text, &len, folder, 6), 0);
    assert_int_equal(len, 6);
    assert_memory_equal(text, "second", 6);
    free(text);
    assert_int_equal(read_it(5), -EFBIG);
    assert_int_equal(access(path_of("state.next"), F_OK), -1);
}

static void test_only_we_can_read_it(void **state)
{
    struct stat st;

    (void) state;

    assert_int_equal(state_file_write(folder, "x", 1), 0);
    assert_int_equal(stat(path_of("state"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_what_is_left_half_written_is_no_hindrance(void **state)
{
    int fd = open(path_of("state.next"), O_CREAT | O_WRONLY, 0400);

    (void) state;

    assert_true(fd >= 0);
    (void) close(fd);
    assert_int_equal(state_file_write(folder, "x", 1), 0);
    assert_int_equal(read_it(10), 1);
}

static void test_a_file_that_others_may_write_is_not_ours(void **state)
{
    (void) state;

    assert_int_equal(state_file_write(folder, "x", 1), 0);
    assert_int_equal(chmod(path_of("state"), 0620), 0);
    assert_int_equal(read_it(10), -EPERM);
    assert_int_equal(state_file_set_aside(folder), 0);
    assert_int_equal(read_it(10), -ENOENT);
    assert_int_equal(access(path_of("state.bad"), F_OK), 0);
}

static void test_nothing_but_a_file_is_read(void **state)
{
    (void) state;

    assert_int_equal(symlink("/etc/passwd", path_of("state")), 0);
    assert_int_equal(read_it(1000000), -EPERM);
    assert_int_equal(unlink(path_of("state")), 0);
    assert_int_equal(mkfifo(path_of("state"), 0600), 0);
    assert_int_equal(read_it(10), -EPERM);
    assert_int_equal(unlink(path_of("state")), 0);
    assert_int_equal(mkdir(path_of("state"), 0700), 0);
    assert_int_equal(read_it(1000000), -EPERM);
}

static void test_a_folder_that_is_not_there_is_told(void **state)
{
    (void) state;

    assert_int_equal(state_file_write("/nowhere/at/all", "x", 1), -ENOENT);
    assert_int_equal(state_file_set_aside("/nowhere/at/all"), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_what_was_written_is_read),
        TEST(test_only_we_can_read_it),
        TEST(test_what_is_left_half_written_is_no_hindrance),
        TEST(test_a_file_that_others_may_write_is_not_ours),
        TEST(test_nothing_but_a_file_is_read),
        TEST(test_a_folder_that_is_not_there_is_told),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
