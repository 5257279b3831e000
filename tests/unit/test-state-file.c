/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/io/state-file.h"
#include "tests/support/test.h"

static char folder[] = "/tmp/test-state-file-XXXXXX";
static StateFile file;

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
    state_file_init(&file, folder);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    state_file_close(&file);
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
    int r = state_file_read(&text, &len, &file, max);

    free(text);
    return r < 0 ? r : (int) len;
}

static void test_what_was_written_is_read(void **state)
{
    char *text;
    size_t len;

    (void) state;

    assert_int_equal(read_it(10), -ENOENT);
    assert_int_equal(state_file_write(&file, "one", 3), 0);
    assert_int_equal(state_file_write(&file, "second", 6), 0);
    assert_int_equal(state_file_read(&text, &len, &file, 6), 0);
    assert_int_equal(len, 6);
    assert_memory_equal(text, "second", 6);
    free(text);
    assert_int_equal(read_it(5), -EFBIG);
    assert_int_equal(access(path_of("state.next"), F_OK), -1);
}

/* What is read is @text. */
static void assert_text(const char *text)
{
    char *found = NULL;
    size_t len = 0;

    assert_int_equal(state_file_read(&found, &len, &file, 100), 0);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(found, text, len);
    free(found);
}

static void put_bytes(const char *bytes, size_t len)
{
    int fd = open(path_of("state"), O_CREAT | O_WRONLY | O_APPEND, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    (void) close(fd);
}

static off_t size_of_file(void)
{
    struct stat st;

    assert_int_equal(stat(path_of("state"), &st), 0);
    return st.st_size;
}

static void test_a_text_that_was_cut_off_does_not_count(void **state)
{
    StateFile next;

    (void) state;

    assert_int_equal(state_file_write(&file, "one", 3), 0);
    assert_int_equal(state_file_write(&file, "second", 6), 0);
    put_bytes("thi", 3);
    assert_text("second");

    /* and is never made whole by what comes behind it */
    state_file_init(&next, folder);
    assert_int_equal(state_file_write(&next, "fourth", 6), 0);
    assert_text("fourth");
    assert_int_equal(size_of_file(), 7);
    state_file_close(&next);
}

static void limit_files(rlim_t max)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = max < limit.rlim_max ? max : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_a_text_for_which_there_is_no_room_brings_a_new_file(void **s)
{
    int r;

    (void) s;

    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(state_file_write(&file, "first", 5), 0);
    limit_files(9); /* half of the next */
    r = state_file_write(&file, "second", 6);
    limit_files(RLIM_INFINITY);
    assert_int_equal(r, 0);
    assert_text("second");
    assert_int_equal(size_of_file(), 7);
    /* and the next one goes behind it again */
    assert_int_equal(state_file_write(&file, "third", 5), 0);
    assert_text("third");
    assert_int_equal(size_of_file(), 13);
}

static void test_a_text_that_cannot_be_written_leaves_the_last(void **state)
{
    int r;

    (void) state;

    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(state_file_write(&file, "one", 3), 0);
    limit_files(5);
    r = state_file_write(&file, "second", 6);
    limit_files(RLIM_INFINITY);
    assert_int_equal(r, -EFBIG);
    assert_text("one");
}

static void test_a_file_of_one_text_without_its_end_is_read(void **state)
{
    (void) state;

    put_bytes("all of it", 9);
    assert_text("all of it");
}

static void test_what_others_did_to_the_file_is_noticed(void **state)
{
    (void) state;

    assert_int_equal(state_file_write(&file, "one", 3), 0);
    assert_int_equal(unlink(path_of("state")), 0);
    assert_int_equal(state_file_write(&file, "two", 3), 0);
    assert_text("two");

    assert_int_equal(truncate(path_of("state"), 2), 0);
    assert_int_equal(state_file_write(&file, "three", 5), 0);
    assert_text("three");

    put_bytes("other", 5);
    assert_int_equal(state_file_write(&file, "four", 4), 0);
    assert_text("four");
    assert_int_equal(size_of_file(), 5);
}

static void test_the_file_does_not_grow_for_ever(void **state)
{
    char text[16];
    off_t size = 0;

    (void) state;

    for (unsigned int i = 10000; i < 20000; i++) {
        (void) snprintf(text, sizeof(text), "text %u", i);
        assert_int_equal(state_file_write(&file, text, strlen(text)), 0);
        assert_text(text);
        if (size_of_file() > size)
            size = size_of_file();
    }
    assert_true(size <= (off_t) STATE_FILE_TEXTS_MAX);
    assert_true(size > (off_t) STATE_FILE_TEXTS_MAX - 100);
}

static void test_a_text_that_is_larger_than_all_that_fits_is_kept(void **state)
{
    const size_t len = STATE_FILE_TEXTS_MAX + 1;
    char *text = test_calloc(len + 1, 1);

    (void) state;

    memset(text, 'x', len);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(state_file_write(&file, text, len), 0);
        assert_int_equal(size_of_file(), len + 1);
        assert_int_equal(read_it(len), len);
    }
    test_free(text);
}

static void test_only_we_can_read_it(void **state)
{
    struct stat st;

    (void) state;

    assert_int_equal(state_file_write(&file, "x", 1), 0);
    assert_int_equal(stat(path_of("state"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_what_is_left_half_written_is_no_hindrance(void **state)
{
    int fd = open(path_of("state.next"), O_CREAT | O_WRONLY, 0400);

    (void) state;

    assert_true(fd >= 0);
    (void) close(fd);
    assert_int_equal(state_file_write(&file, "x", 1), 0);
    assert_int_equal(read_it(10), 1);
}

static void test_a_file_that_others_may_write_is_not_ours(void **state)
{
    (void) state;

    assert_int_equal(state_file_write(&file, "x", 1), 0);
    assert_int_equal(chmod(path_of("state"), 0620), 0);
    assert_int_equal(read_it(10), -EPERM);
    assert_int_equal(state_file_set_aside(&file), 0);
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
    StateFile nowhere;

    (void) state;

    state_file_init(&nowhere, "/nowhere/at/all");
    assert_int_equal(state_file_write(&nowhere, "x", 1), -ENOENT);
    assert_int_equal(state_file_set_aside(&nowhere), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_what_was_written_is_read),
        TEST(test_a_text_that_was_cut_off_does_not_count),
        TEST(test_a_text_for_which_there_is_no_room_brings_a_new_file),
        TEST(test_a_text_that_cannot_be_written_leaves_the_last),
        TEST(test_a_file_of_one_text_without_its_end_is_read),
        TEST(test_what_others_did_to_the_file_is_noticed),
        TEST(test_the_file_does_not_grow_for_ever),
        TEST(test_a_text_that_is_larger_than_all_that_fits_is_kept),
        TEST(test_only_we_can_read_it),
        TEST(test_what_is_left_half_written_is_no_hindrance),
        TEST(test_a_file_that_others_may_write_is_not_ours),
        TEST(test_nothing_but_a_file_is_read),
        TEST(test_a_folder_that_is_not_there_is_told),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
