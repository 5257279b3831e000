/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/sys/rules-files.h"
#include "tests/support/test.h"

#define PATH_SIZE 256U
#define OTHER_UID 12345U

typedef struct Folder {
    char path[PATH_SIZE];
} Folder;

static int setup(void **state)
{
    static Folder folder;

    (void) snprintf(folder.path, sizeof(folder.path), "%s",
                    "/tmp/test-rules-files.XXXXXX");
    assert_non_null(mkdtemp(folder.path));
    *state = &folder;
    return 0;
}

static int teardown(void **state)
{
    const Folder *folder = *state;
    char command[2 * PATH_SIZE];

    (void) snprintf(command, sizeof(command), "rm -rf %s", folder->path);
    return system(command);
}

static const char *path_of(const Folder *folder, const char *name)
{
    static char path[2 * PATH_SIZE];

    (void) snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    return path;
}

static void write_bytes(const Folder *folder,
                        const char *name,
                        const char *bytes,
                        size_t len)
{
    int fd = open(path_of(folder, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(write(fd, bytes, len), len);
    (void) fd_close(fd);
}

static void write_file(const Folder *folder, const char *name, const char *text)
{
    write_bytes(folder, name, text, strlen(text));
}

static RulesFiles *read_folder(const Folder *folder)
{
    RulesFiles *files = NULL;

    assert_int_equal(rules_files_read(&files, folder->path, geteuid()), 0);
    assert_non_null(files);
    return files;
}

/* The only file of the folder is refused with words that have @words. */
static void assert_refused(const Folder *folder, const char *words)
{
    _cleanup_(rules_files_freep) RulesFiles *files = read_folder(folder);

    assert_int_equal(files->n_files, 1);
    assert_null(files->files[0].contents);
    assert_non_null(files->files[0].error);
    if (!strstr(files->files[0].error, words))
        fail_msg("%s lacks: %s", files->files[0].error, words);
}

static void test_files_come_in_the_order_of_their_bytes(void **state)
{
    static const char *const expected[] = {
        "10-b.rules", "20-a.rules", "A.rules", "a.b.rules", "a.rules",
    };
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    Folder *folder = *state;

    for (size_t i = ARRAY_SIZE(expected); i-- > 0;)
        write_file(folder, expected[i], expected[i]);
    files = read_folder(folder);
    assert_int_equal(files->n_files, ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        const RulesFile *file = &files->files[i];

        assert_string_equal(file->name, expected[i]);
        assert_null(file->error);
        assert_int_equal(file->len, strlen(expected[i]));
        assert_memory_equal(file->contents, expected[i], file->len);
    }
}

static void test_only_names_that_end_in_rules_count(void **state)
{
    static const char *const others[] = {
        ".hidden.rules", "a.rules~", "b.rules.bak", ".rules",
        "rules",         "c.RULES",  "#d.rules#",
    };
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    Folder *folder = *state;

    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        write_file(folder, others[i], "x");
    files = read_folder(folder);
    assert_int_equal(files->n_files, 0);
}

static void test_bytes_are_kept_as_they_are(void **state)
{
    static const char bytes[] = "a\0b\xff\r\n";
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    Folder *folder = *state;

    write_bytes(folder, "a.rules", bytes, sizeof(bytes));
    write_file(folder, "empty.rules", "");
    files = read_folder(folder);
    assert_int_equal(files->files[0].len, sizeof(bytes));
    assert_memory_equal(files->files[0].contents, bytes, sizeof(bytes));
    assert_int_equal(files->files[1].len, 0);
    assert_null(files->files[1].error);
}

static void test_a_missing_folder_is_told_apart(void **state)
{
    RulesFiles *files = NULL;

    assert_int_equal(
        rules_files_read(&files, path_of(*state, "nothing"), geteuid()),
        -ENOENT);
    assert_null(files);
}

static void test_what_is_no_folder_is_an_error_of_it(void **state)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;

    write_file(*state, "a.rules", "x");
    assert_int_equal(
        rules_files_read(&files, path_of(*state, "a.rules"), geteuid()), 0);
    assert_int_equal(files->n_files, 1);
    assert_string_equal(files->files[0].name, path_of(*state, "a.rules"));
    assert_non_null(strstr(files->files[0].error, "Not a directory"));
}

static void test_a_folder_that_others_can_write_is_refused(void **state)
{
    static const mode_t modes[] = { 0775, 0757, 01777 };
    Folder *folder = *state;

    write_file(folder, "a.rules", "x");
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(folder->path, modes[i]), 0);
        assert_refused(folder, "run: sudo chmod go-w /tmp/test-rules-files.");
    }
    assert_int_equal(chmod(folder->path, 0755), 0);
}

static void test_a_file_that_others_can_write_is_refused(void **state)
{
    static const mode_t modes[] = { 0664, 0646, 0622 };
    Folder *folder = *state;

    write_file(folder, "a.rules", "x");
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(path_of(folder, "a.rules"), modes[i]), 0);
        assert_refused(folder, "run: sudo chmod go-w /tmp/test-rules-files.");
        assert_refused(folder, "/a.rules");
    }
}

static void test_a_file_of_another_user_is_refused(void **state)
{
    Folder *folder = *state;

    if (geteuid() != 0)
        SKIP("needs root");
    write_file(folder, "a.rules", "x");
    assert_int_equal(chown(path_of(folder, "a.rules"), OTHER_UID, 0), 0);
    assert_refused(folder, "run: sudo chown root ");
    assert_int_equal(chown(folder->path, OTHER_UID, 0), 0);
    assert_refused(folder, "the folder belongs to user 12345");
}

/* Whether a file and its folder, both of OTHER_UID, are taken. */
static bool is_taken_for(const Folder *folder, uid_t owner)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    _cleanup_(rules_files_freep) RulesFiles *one = NULL;

    assert_int_equal(rules_files_read(&files, folder->path, owner), 0);
    assert_int_equal(
        rules_files_read_one(&one, path_of(folder, "a.rules"), owner), 0);
    assert_true(!files->files[0].error == !one->files[0].error);
    return !one->files[0].error;
}

static void test_whose_files_are_taken_is_for_the_caller_to_say(void **state)
{
    Folder *folder = *state;

    if (geteuid() != 0)
        SKIP("needs root");
    write_file(folder, "a.rules", "x");
    assert_int_equal(chown(path_of(folder, "a.rules"), OTHER_UID, 0), 0);
    assert_int_equal(chown(folder->path, OTHER_UID, 0), 0);
    assert_true(is_taken_for(folder, OTHER_UID));
    assert_false(is_taken_for(folder, OTHER_UID + 1));
    assert_false(is_taken_for(folder, 0));
    assert_true(is_taken_for(folder, RULES_OWNER_ANY));
}

static void test_a_draft_may_be_written_by_whoever(void **state)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    Folder *folder = *state;

    write_file(folder, "a.rules", "x");
    assert_int_equal(chmod(path_of(folder, "a.rules"), 0666), 0);
    assert_int_equal(chmod(folder->path, 0777), 0);
    assert_int_equal(rules_files_read(&files, folder->path, RULES_OWNER_ANY),
                     0);
    assert_null(files->files[0].error);
    assert_memory_equal(files->files[0].contents, "x", 1);
}

static void test_a_file_that_cannot_be_opened_is_an_error_of_it(void **state)
{
    Folder *folder = *state;

    if (geteuid() == 0)
        SKIP("root reads everything");
    write_file(folder, "a.rules", "x");
    assert_int_equal(chmod(path_of(folder, "a.rules"), 0), 0);
    assert_refused(folder, "cannot be read: Permission denied");
}

static void test_a_symbolic_link_is_refused(void **state)
{
    Folder *folder = *state;

    write_file(folder, "a.txt", "x");
    assert_int_equal(symlink("a.txt", path_of(folder, "b.rules")), 0);
    assert_refused(folder, "this is a symbolic link");
}

static void test_a_loop_of_links_is_refused(void **state)
{
    Folder *folder = *state;

    assert_int_equal(symlink("a.rules", path_of(folder, "a.rules")), 0);
    assert_refused(folder, "this is a symbolic link");
}

static void test_a_fifo_is_refused_and_does_not_hang(void **state)
{
    Folder *folder = *state;

    assert_int_equal(mkfifo(path_of(folder, "a.rules"), 0600), 0);
    assert_refused(folder, "this is a FIFO");
}

static void test_a_folder_in_the_folder_is_refused(void **state)
{
    Folder *folder = *state;

    assert_int_equal(mkdir(path_of(folder, "a.rules"), 0700), 0);
    assert_refused(folder, "this is a folder");
}

static void test_a_socket_is_refused(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    Folder *folder = *state;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_true(strlen(path_of(folder, "a.rules")) < sizeof(address.sun_path));
    strcpy(address.sun_path, path_of(folder, "a.rules"));
    assert_int_equal(
        bind(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
    assert_refused(folder, "this is a socket");
    (void) fd_close(fd);
}

static void test_a_file_of_1_mib_is_read_and_one_byte_more_refused(void **state)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    Folder *folder = *state;

    write_file(folder, "a.rules", "x");
    assert_int_equal(
        truncate(path_of(folder, "a.rules"), (off_t) RULES_FILE_SIZE_MAX), 0);
    files = read_folder(folder);
    assert_null(files->files[0].error);
    assert_int_equal(files->files[0].len, RULES_FILE_SIZE_MAX);

    assert_int_equal(
        truncate(path_of(folder, "a.rules"), (off_t) RULES_FILE_SIZE_MAX + 1),
        0);
    assert_refused(folder, "more than 1 MiB");
}

static void test_one_file_too_many_is_an_error_of_the_folder(void **state)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    Folder *folder = *state;
    char name[32];

    for (unsigned int i = 0; i < RULES_FILES_MAX; i++) {
        (void) snprintf(name, sizeof(name), "%u.rules", i);
        write_file(folder, name, "");
    }
    files = read_folder(folder);
    assert_int_equal(files->n_files, RULES_FILES_MAX);

    write_file(folder, "more.rules", "");
    assert_refused(folder, "more than 1024 rule files");
}

static void test_one_bad_file_leaves_the_others_readable(void **state)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    Folder *folder = *state;

    write_file(folder, "a.rules", "x");
    assert_int_equal(mkfifo(path_of(folder, "b.rules"), 0600), 0);
    write_file(folder, "c.rules", "z");
    files = read_folder(folder);
    assert_int_equal(files->n_files, 3);
    assert_null(files->files[0].error);
    assert_non_null(files->files[1].error);
    assert_memory_equal(files->files[2].contents, "z", 1);
}

static void test_one_file_is_read_by_its_path_whatever_its_name(void **state)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;

    write_file(*state, "draft.txt", "text");
    assert_int_equal(
        rules_files_read_one(&files, path_of(*state, "draft.txt"), geteuid()),
        0);
    assert_int_equal(files->n_files, 1);
    assert_string_equal(files->files[0].name, "draft.txt");
    assert_memory_equal(files->files[0].contents, "text", 4);
}

static void test_a_stream_is_read_to_its_end(void **state)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL, *none = NULL;
    int fds[2];

    (void) state;
    assert_return_code(pipe(fds), errno);
    assert_int_equal(write(fds[1], "a: deny any\n", 12), 12);
    assert_return_code(close(fds[1]), errno);
    assert_int_equal(rules_files_read_stream(&files, "-", fds[0]), 0);
    assert_return_code(close(fds[0]), errno);
    assert_int_equal(files->n_files, 1);
    assert_string_equal(files->files[0].name, "-");
    assert_int_equal(files->files[0].len, 12);
    assert_memory_equal(files->files[0].contents, "a: deny any\n", 12);
    assert_null(files->files[0].error);

    assert_int_equal(rules_files_read_stream(&none, "-", fds[0]), 0);
    assert_null(none->files[0].contents);
    assert_string_equal(none->files[0].error,
                        "cannot be read: Bad file descriptor");
}

static void test_one_file_that_is_missing_is_an_error_of_it(void **state)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;

    assert_int_equal(
        rules_files_read_one(&files, path_of(*state, "x.rules"), geteuid()), 0);
    assert_int_equal(files->n_files, 1);
    assert_string_equal(files->files[0].name, "x.rules");
    assert_non_null(strstr(files->files[0].error, "No such file"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_files_come_in_the_order_of_their_bytes),
        TEST(test_only_names_that_end_in_rules_count),
        TEST(test_bytes_are_kept_as_they_are),
        TEST(test_a_missing_folder_is_told_apart),
        TEST(test_what_is_no_folder_is_an_error_of_it),
        TEST(test_a_folder_that_others_can_write_is_refused),
        TEST(test_a_file_that_others_can_write_is_refused),
        TEST(test_a_file_of_another_user_is_refused),
        TEST(test_whose_files_are_taken_is_for_the_caller_to_say),
        TEST(test_a_draft_may_be_written_by_whoever),
        TEST(test_a_file_that_cannot_be_opened_is_an_error_of_it),
        TEST(test_a_symbolic_link_is_refused),
        TEST(test_a_loop_of_links_is_refused),
        TEST(test_a_fifo_is_refused_and_does_not_hang),
        TEST(test_a_folder_in_the_folder_is_refused),
        TEST(test_a_socket_is_refused),
        TEST(test_a_file_of_1_mib_is_read_and_one_byte_more_refused),
        TEST(test_one_file_too_many_is_an_error_of_the_folder),
        TEST(test_one_bad_file_leaves_the_others_readable),
        TEST(test_one_file_is_read_by_its_path_whatever_its_name),
        TEST(test_a_stream_is_read_to_its_end),
        TEST(test_one_file_that_is_missing_is_an_error_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
