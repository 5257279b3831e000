/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/sys/rules-files.h"
#include "common/sys/rules-write.h"
#include "tests/support/test.h"

#define PATH_SIZE 256U

typedef struct Folder {
    char path[PATH_SIZE];
    char file[PATH_SIZE + 16];
} Folder;

static int setup(void **state)
{
    Folder *folder = calloc(1, sizeof(*folder));

    assert_non_null(folder);
    (void) snprintf(folder->path, sizeof(folder->path),
                    "/tmp/autoattach-write-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    (void) snprintf(folder->file, sizeof(folder->file), "%s/50-a.rules",
                    folder->path);
    *state = folder;
    return 0;
}

static size_t count_entries(const Folder *folder, bool deletes)
{
    DIR *dir = opendir(folder->path);
    struct dirent *entry;
    size_t n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        n++;
        if (deletes)
            (void) unlinkat(dirfd(dir), entry->d_name, 0);
    }
    (void) closedir(dir);
    return n;
}

static int teardown(void **state)
{
    Folder *folder = *state;

    (void) count_entries(folder, true);
    (void) rmdir(folder->path);
    free(folder);
    return 0;
}

static void expect(const Folder *folder, const char *text, mode_t mode)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    struct stat status;

    assert_int_equal(rules_files_read(&files, folder->path, geteuid()), 0);
    assert_int_equal(files->n_files, 1);
    assert_null(files->files[0].error);
    assert_int_equal(files->files[0].len, strlen(text));
    assert_memory_equal(files->files[0].contents, text, strlen(text));
    assert_int_equal(stat(folder->file, &status), 0);
    assert_int_equal(status.st_mode & 07777, mode);
    /* nothing else is left behind */
    assert_int_equal(count_entries(folder, false), 1);
}

static void test_a_new_file_can_be_read_by_the_daemon(void **state)
{
    Folder *folder = *state;
    mode_t mask = umask(077);

    assert_int_equal(rules_file_write(folder->file, "# a\n", 4), 0);
    (void) umask(mask);
    expect(folder, "# a\n", 0644);
    assert_int_equal(rules_file_delete(folder->file), 0);
    assert_int_equal(count_entries(folder, false), 0);
}

static void test_a_replaced_file_keeps_what_is_good_of_its_mode(void **state)
{
    Folder *folder = *state;

    assert_int_equal(rules_file_write(folder->file, "# a\n", 4), 0);
    assert_int_equal(chmod(folder->file, 0640), 0);
    assert_int_equal(rules_file_write(folder->file, "# bcd\n", 6), 0);
    expect(folder, "# bcd\n", 0640);
    assert_int_equal(chmod(folder->file, 0666), 0);
    assert_int_equal(rules_file_write(folder->file, "", 0), 0);
    expect(folder, "", 0644);
}

static void test_a_replaced_file_keeps_its_owner(void **state)
{
    Folder *folder = *state;
    struct stat status;

    if (geteuid() != 0)
        SKIP("needs root");
    assert_int_equal(rules_file_write(folder->file, "# a\n", 4), 0);
    assert_int_equal(chown(folder->file, 12, 34), 0);
    assert_int_equal(rules_file_write(folder->file, "# b\n", 4), 0);
    assert_int_equal(stat(folder->file, &status), 0);
    assert_int_equal(status.st_uid, 12);
    assert_int_equal(status.st_gid, 34);
}

static void test_who_reads_meanwhile_has_the_old_file(void **state)
{
    Folder *folder = *state;
    char text[8] = "";
    FILE *file;

    assert_int_equal(rules_file_write(folder->file, "# a\n", 4), 0);
    file = fopen(folder->file, "r");
    assert_non_null(file);
    assert_int_equal(rules_file_write(folder->file, "# bcd\n", 6), 0);
    assert_non_null(fgets(text, sizeof(text), file));
    (void) fclose(file);
    assert_string_equal(text, "# a\n");
}

static void test_a_link_or_a_folder_is_not_replaced(void **state)
{
    Folder *folder = *state;
    char other[PATH_SIZE + 16];

    (void) snprintf(other, sizeof(other), "%s/other", folder->path);
    assert_int_equal(symlink(other, folder->file), 0);
    assert_int_equal(rules_file_write(folder->file, "# a\n", 4), -EEXIST);
    assert_int_equal(count_entries(folder, false), 1);
    assert_int_equal(unlink(folder->file), 0);
    assert_int_equal(mkdir(folder->file, 0755), 0);
    assert_int_equal(rules_file_write(folder->file, "# a\n", 4), -EEXIST);
    assert_int_equal(rules_file_delete(folder->file), -EISDIR);
    assert_int_equal(rmdir(folder->file), 0);
    assert_int_equal(count_entries(folder, false), 0);
}

static void test_what_fails_leaves_nothing_behind(void **state)
{
    Folder *folder = *state;
    char path[2 * PATH_SIZE + NAME_MAX];
    size_t len;

    (void) snprintf(path, sizeof(path), "%s/no/50-a.rules", folder->path);
    assert_int_equal(rules_file_write(path, "# a\n", 4), -ENOENT);
    assert_int_equal(rules_file_delete(path), -ENOENT);
    (void) snprintf(path, sizeof(path), "%s/%0240d.rules", folder->path, 0);
    assert_int_equal(rules_file_write(path, "# a\n", 4), -ENAMETOOLONG);
    len = (size_t) snprintf(path, sizeof(path), "%s/", folder->path);
    for (size_t n = 0; n < NAME_MAX / 3; n++) /* no room for a dot before it */
        len += (size_t) snprintf(path + len, sizeof(path) - len, "\u20ac");
    assert_int_equal(rules_file_write(path, "# a\n", 4), -ENAMETOOLONG);
    assert_int_equal(count_entries(folder, false), 0);
    assert_int_equal(rules_folder_is_writable(folder->path), 0);
    assert_int_equal(rules_folder_is_writable(path), -ENOENT);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_a_new_file_can_be_read_by_the_daemon),
        TEST(test_a_replaced_file_keeps_what_is_good_of_its_mode),
        TEST(test_a_replaced_file_keeps_its_owner),
        TEST(test_who_reads_meanwhile_has_the_old_file),
        TEST(test_a_link_or_a_folder_is_not_replaced),
        TEST(test_what_fails_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
