/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Each system call around the rules folder fails once, in each way that it can:
 * a file is read whole or has an error, is written whole or is the old one, and
 * no change of the folder is missed.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/sys/rules-files.h"
#include "common/sys/rules-write.h"
#include "dom0/io/rules-dir.h"
#include "tests/support/call-fault.h"
#include "tests/support/loop.h"
#include "tests/support/test.h"

#define OLD_TEXT "a: ask block to work\n"
#define NEW_TEXT "a: ask block to vault\nb: deny block\n"

static const int errors[] = { EINTR,  EAGAIN, EIO,    ENOSPC,
                              EMFILE, ENFILE, ENOMEM, EACCES };

static char folder[] = "/tmp/fault-rules-XXXXXX";
static char path[64], other[64];
static sd_event *event;
static size_t n_changes;

static int set_up(void **state)
{
    (void) state;

    loop_add_time_fails = call_fault_fails_at;
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    (void) snprintf(path, sizeof(path), "%s/a.rules", folder);
    (void) snprintf(other, sizeof(other), "%s/b.rules", folder);
    assert_return_code(sd_event_new(&event), 0);
    assert_int_equal(rules_file_write(path, OLD_TEXT, strlen(OLD_TEXT)), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;

    event = sd_event_unref(event);
    (void) unlink(path);
    (void) unlink(other);
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static size_t n_entries(const char *name)
{
    DIR *dir = opendir(name);
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    (void) closedir(dir);
    return n;
}

static void assert_contents(const RulesFile *file, const char *text)
{
    assert_null(file->error);
    assert_string_equal(file->name, "a.rules");
    assert_int_equal(file->len, strlen(text));
    assert_memory_equal(file->contents, text, file->len);
}

/* The whole file, or why not. */
static void assert_whole_or_error(const RulesFiles *files, int error)
{
    const RulesFile *file = &files->files[0];

    assert_int_equal(files->n_files, 1);
    if (file->error) {
        assert_null(file->contents);
        assert_non_null(strstr(file->error, "cannot be read: "));
        assert_non_null(strstr(file->error, strerror(error)));
    } else {
        assert_contents(file, OLD_TEXT);
    }
    if (call_fault_is_transfer() && error == EINTR)
        assert_contents(file, OLD_TEXT);
}

static void test_a_file_is_read_whole_or_has_an_error(void **state)
{
    size_t n_faults = 0, n_before = n_descriptors();

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            _cleanup_(rules_files_freep) RulesFiles *files = NULL;
            int r;

            call_fault_begin(n, errors[i]);
            r = rules_files_read(&files, folder, geteuid());
            if (!call_fault_end()) {
                assert_int_equal(r, 0);
                assert_contents(&files->files[0], OLD_TEXT);
                break;
            }
            n_faults++;
            assert_int_equal(n_descriptors(), n_before);
            if (r < 0) {
                assert_int_equal(r, -ENOMEM);
                assert_int_equal(errors[i], ENOMEM);
                assert_null(files);
            } else {
                assert_whole_or_error(files, errors[i]);
            }
        }
    /* opendir, readdir, and of the file fstatat, openat, fstat, read */
    assert_true(n_faults >= 6 * ARRAY_SIZE(errors));
}

static void test_a_file_is_read_byte_by_byte(void **state)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;

    (void) state;

    call_fault_begin_short(true);
    assert_int_equal(rules_file_write(path, NEW_TEXT, strlen(NEW_TEXT)), 0);
    assert_int_equal(rules_files_read_one(&files, path, geteuid()), 0);
    (void) call_fault_end();
    assert_contents(&files->files[0], NEW_TEXT);
}

static void test_a_file_is_the_old_or_the_new_one(void **state)
{
    size_t n_faults = 0, n_before = n_descriptors();

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            _cleanup_(rules_files_freep) RulesFiles *files = NULL;
            int r;

            assert_int_equal(rules_file_write(path, OLD_TEXT, strlen(OLD_TEXT)),
                             0);
            call_fault_begin(n, errors[i]);
            r = rules_file_write(path, NEW_TEXT, strlen(NEW_TEXT));
            if (!call_fault_end()) {
                assert_int_equal(r, 0);
                break;
            }
            n_faults++;
            assert_true(r == 0 || r == -errors[i]);
            if (call_fault_is_transfer() && errors[i] == EINTR)
                assert_int_equal(r, 0);
            assert_int_equal(rules_files_read(&files, folder, geteuid()), 0);
            assert_contents(&files->files[0], r == 0 ? NEW_TEXT : OLD_TEXT);
            /* nothing else is left there */
            assert_int_equal(n_entries(folder), 3);
            assert_int_equal(n_descriptors(), n_before);
        }
    /* open, openat, write, fstatat, fchmod, fsync, renameat, fsync */
    assert_true(n_faults >= 8 * ARRAY_SIZE(errors));
}

static void on_change(void *userdata)
{
    (void) userdata;

    n_changes++;
}

/* As an editor that writes in place. */
static void write_in_place(void)
{
    int fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_return_code(fd, errno);
    assert_int_equal(write(fd, OLD_TEXT, strlen(OLD_TEXT)), strlen(OLD_TEXT));
    fd_close(fd);
}

/* Whatever fails, who watches is told of the change, and of the next one. */
static void change_and_wait(size_t i)
{
    n_changes = 0;
    call_fault_hold(true);
    if (i % 2)
        assert_int_equal(rules_file_delete(other), 0);
    else if (i % 4)
        write_in_place();
    else
        assert_int_equal(rules_file_write(other, OLD_TEXT, strlen(OLD_TEXT)),
                         0);
    call_fault_hold(false);
    LOOP_UNTIL(event, n_changes > 0);
    loop_settle(event);
}

static void test_no_change_of_the_folder_is_missed(void **state)
{
    _cleanup_(rules_dir_freep) RulesDir *dir = NULL;
    size_t n_faults = 0, n_before, at = 0;

    (void) state;

    assert_int_equal(rules_dir_new(&dir, event, folder, on_change, NULL), 0);
    change_and_wait(at++);
    n_before = n_descriptors();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        for (size_t n = 0;; n++) {
            bool delivered;

            call_fault_begin(n, errors[i]);
            change_and_wait(at++);
            change_and_wait(at++);
            change_and_wait(at++);
            delivered = call_fault_end();
            change_and_wait(at++);
            assert_int_equal(n_descriptors(), n_before);
            if (!delivered)
                break;
            n_faults++;
        }
    assert_true(n_faults >= ARRAY_SIZE(errors));
}

/* Answers how many faults there were. */
static size_t watch_each(const char *what)
{
    size_t n = 0;

    for (;; n++) {
        _cleanup_(rules_dir_freep) RulesDir *dir = NULL;
        int r;

        call_fault_begin(n, EMFILE);
        r = rules_dir_new(&dir, event, what, on_change, NULL);
        if (!call_fault_end()) {
            assert_int_equal(r, 0);
            return n;
        }
        /* without one it is only not known that it has come meanwhile */
        if (strcmp(call_fault_name(), "access") != 0)
            assert_int_equal(r, -EMFILE);
        assert_int_equal(r >= 0, dir != NULL);
    }
}

static void test_a_folder_is_watched_or_it_is_told_that_not(void **state)
{
    char missing[sizeof(folder) + 8];

    (void) state;

    assert_true(watch_each(folder) >= 2);
    (void) snprintf(missing, sizeof(missing), "%s/missing", folder);
    assert_true(watch_each(missing) >= 3);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_file_is_read_whole_or_has_an_error),
        TEST(test_a_file_is_read_byte_by_byte),
        TEST(test_a_file_is_the_old_or_the_new_one),
        TEST(test_no_change_of_the_folder_is_missed),
        TEST(test_a_folder_is_watched_or_it_is_told_that_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
