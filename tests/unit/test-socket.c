/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/sys/socket.h"
#include "tests/support/test.h"

#define PATH_MAX_LEN 256U
/* more than any listener queues */
#define N_TRIES 4096U

typedef struct Folder {
    char folder[64];
    char path[PATH_MAX_LEN]; /* of the socket in it */
} Folder;

static int set_up(void **state)
{
    Folder *folder = calloc(1, sizeof(*folder));

    assert_non_null(folder);
    strcpy(folder->folder, "/tmp/test-socket-XXXXXX");
    assert_non_null(mkdtemp(folder->folder));
    (void) snprintf(folder->path, sizeof(folder->path), "%s/s", folder->folder);
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    Folder *folder = *state;

    (void) unlink(folder->path);
    assert_int_equal(rmdir(folder->folder), 0);
    free(folder);
    return 0;
}

static void assert_flags(int fd)
{
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void test_a_byte_gets_from_one_end_to_the_other(void **state)
{
    const Folder *folder = *state;
    _cleanup_(fd_closep) int listener = socket_listen(folder->path, 0660);
    _cleanup_(fd_closep) int client = socket_connect(folder->path);
    _cleanup_(fd_closep) int server = -1;
    char byte;

    assert_return_code(listener, 0);
    assert_return_code(client, 0);
    assert_flags(listener);
    assert_flags(client);
    server = accept(listener, NULL, NULL);
    assert_return_code(server, errno);
    assert_int_equal(write(client, "x", 1), 1);
    assert_int_equal(read(server, &byte, 1), 1);
    assert_int_equal(byte, 'x');
}

static void test_the_mode_is_the_one_asked_for(void **state)
{
    const Folder *folder = *state;
    _cleanup_(fd_closep) int listener = -1;
    mode_t old = umask(0077);
    struct stat st;

    listener = socket_listen(folder->path, 0660);
    (void) umask(old);
    assert_return_code(listener, 0);
    assert_int_equal(stat(folder->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
}

static void test_no_socket_and_no_listener_are_told_apart(void **state)
{
    const Folder *folder = *state;

    assert_int_equal(socket_connect(folder->path), -ENOENT);
    (void) fd_close(socket_listen(folder->path, 0600));
    assert_int_equal(socket_connect(folder->path), -ECONNREFUSED);
}

static void test_a_socket_left_behind_is_replaced(void **state)
{
    const Folder *folder = *state;
    _cleanup_(fd_closep) int listener = -1;

    (void) fd_close(socket_listen(folder->path, 0600));
    listener = socket_listen(folder->path, 0600);
    assert_return_code(listener, 0);
}

static void test_a_socket_in_use_is_left_alone(void **state)
{
    const Folder *folder = *state;
    _cleanup_(fd_closep) int listener = socket_listen(folder->path, 0600);
    _cleanup_(fd_closep) int client = -1;

    assert_return_code(listener, 0);
    assert_int_equal(socket_listen(folder->path, 0600), -EADDRINUSE);
    client = socket_connect(folder->path);
    assert_return_code(client, 0);
}

static void test_what_is_no_socket_is_left_alone(void **state)
{
    const Folder *folder = *state;
    struct stat st;

    (void) fd_close(open(folder->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(socket_listen(folder->path, 0600), -EADDRINUSE);
    assert_int_equal(lstat(folder->path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(unlink(folder->path), 0);

    assert_int_equal(symlink("/nowhere", folder->path), 0);
    assert_int_equal(socket_listen(folder->path, 0600), -EADDRINUSE);
    assert_int_equal(lstat(folder->path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void test_a_path_that_does_not_fit_is_refused_whole(void **state)
{
    char path[sizeof(((struct sockaddr_un *) NULL)->sun_path) + 1] = {};

    (void) state;

    assert_int_equal(socket_connect(""), -EINVAL);
    assert_int_equal(socket_listen("", 0600), -EINVAL);
    memset(path, 'x', sizeof(path) - 1);
    assert_int_equal(socket_connect(path), -ENAMETOOLONG);
    assert_int_equal(socket_listen(path, 0600), -ENAMETOOLONG);
    path[sizeof(path) - 2] = '\0';
    assert_int_equal(socket_connect(path), -ENOENT);
}

static void test_a_full_queue_never_blocks(void **state)
{
    const Folder *folder = *state;
    _cleanup_(fd_closep) int listener = socket_listen(folder->path, 0600);
    int fds[N_TRIES];
    size_t n = 0;

    assert_return_code(listener, 0);
    assert_int_equal(listen(listener, 4), 0);
    for (n = 0; n < N_TRIES; n++) {
        fds[n] = socket_connect(folder->path);
        if (fds[n] < 0)
            break;
    }
    assert_true(n < N_TRIES);
    assert_int_equal(fds[n], -EAGAIN);
    while (n-- > 0)
        (void) fd_close(fds[n]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_byte_gets_from_one_end_to_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_mode_is_the_one_asked_for,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_no_socket_and_no_listener_are_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_socket_left_behind_is_replaced,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_socket_in_use_is_left_alone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_socket_is_left_alone,
                                        set_up, tear_down),
        cmocka_unit_test(test_a_path_that_does_not_fit_is_refused_whole),
        cmocka_unit_test_setup_teardown(test_a_full_queue_never_blocks, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
