/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Programs in turn. A line of the plan is
 *
 *     NAME exit STATUS PROGRAM ARGUMENT...     until it has ended with STATUS
 *     NAME ready 0 PROGRAM ARGUMENT...         until it has sent READY=1, then
 *                                              SIGTERM
 *
 * Their standard output and error go nowhere. Told is NAME, the CPU time that
 * it has used in all, and how long it took.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/bench/bench.h"
#include "tests/bench/load.h"

#define LANES_MAX     16U
#define ARGUMENTS_MAX 32U
#define NOTIFY_NAME   "@bench-notify-%i" /* abstract */

typedef struct Program {
    const char *name;
    bool is_daemon;
    int status;
    char *arguments[ARGUMENTS_MAX + 1];
} Program;

static char *word(char **rest)
{
    char *next = strsep(rest, " ");

    if (!next || next[0] == '\0')
        die("a line of the plan is too short");
    return next;
}

static size_t read_plan(Program *programs, const char *path)
{
    char *rest = bytes_from_file(path).data, *line;
    size_t n = 0;

    while ((line = strsep(&rest, "\n")) && line[0] != '\0') {
        Program *program = &programs[n++];
        size_t n_arguments = 0;

        if (n > LANES_MAX)
            die("too many programs");
        *program = (Program){ .name = word(&line) };
        program->is_daemon = strcmp(word(&line), "ready") == 0;
        program->status = atoi(word(&line));
        while (line && n_arguments < ARGUMENTS_MAX)
            program->arguments[n_arguments++] = word(&line);
    }
    return n;
}

static int notify_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int len = snprintf(address.sun_path, sizeof(address.sun_path), NOTIFY_NAME,
                       (int) getpid());

    (void) setenv("NOTIFY_SOCKET", address.sun_path, 1);
    address.sun_path[0] = '\0';
    if (bind(fd, (const struct sockaddr *) &address,
             (socklen_t) (offsetof(struct sockaddr_un, sun_path) +
                          (size_t) len)) < 0)
        die("notify socket: %s", strerror(errno));
    return fd;
}

static void await_ready(int fd, const char *name)
{
    struct pollfd poller = { .fd = fd, .events = POLLIN };
    char text[4096];
    ssize_t n;

    do {
        if (poll(&poller, 1, BENCH_DEADLINE_MSEC) <= 0)
            die("%s does not get ready", name);
        n = recv(fd, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
    } while (!strstr(text, "READY=1"));
}

static uint64_t nsec_of(const struct timeval *time)
{
    return (uint64_t) time->tv_sec * 1000000000U +
           (uint64_t) time->tv_usec * 1000U;
}

static void run(const Program *program, int notify, bool counts)
{
    posix_spawn_file_actions_t actions;
    uint64_t begin, end;
    struct rusage usage;
    int status, r;
    pid_t pid;
    char rest;

    (void) posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd <= 2; fd++)
        (void) posix_spawn_file_actions_addopen(&actions, fd, "/dev/null",
                                                O_RDWR, 0);
    begin = now_ns();
    r = posix_spawn(&pid, program->arguments[0], &actions, NULL,
                    program->arguments, environ);
    if (r != 0)
        die("%s: %s", program->arguments[0], strerror(r));
    if (program->is_daemon) {
        await_ready(notify, program->name);
        end = now_ns();
        (void) kill(pid, SIGTERM);
        (void) wait4(pid, &status, 0, &usage);
        /* what it said at its end is not what the next one says */
        while (recv(notify, &rest, sizeof(rest), MSG_DONTWAIT) >= 0)
            ;
    } else {
        (void) wait4(pid, &status, 0, &usage);
        end = now_ns();
    }
    (void) posix_spawn_file_actions_destroy(&actions);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != program->status)
        die("%s ended with %i", program->name, status);
    if (counts)
        printf("%s %" PRIu64 " %" PRIu64 "\n", program->name,
               nsec_of(&usage.ru_utime) + nsec_of(&usage.ru_stime),
               end - begin);
}

int load_spawn(int argc, char **argv)
{
    size_t n_rounds = strtoul(argv[0], NULL, 10);
    Program programs[LANES_MAX];
    size_t n = read_plan(programs, argv[1]);
    int notify = notify_socket();

    (void) argc;

    for (size_t round = 0; round <= n_rounds; round++)
        for (size_t i = 0; i < n; i++)
            run(&programs[(round + i) % n], notify, round > 0);
    return EXIT_SUCCESS;
}
