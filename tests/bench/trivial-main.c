/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The least that a daemon can do: for each record one fixed list of calls, one
 * after the other, then the answer. It looks at nothing, knows nothing and
 * remembers nothing.
 *
 *     bench-trivial DIR CALLS
 *
 * makes DIR/event.sock, takes one connection and prints "ready" before. CALLS
 * has lines "add SOCKET REQUEST" and "remove SOCKET REQUEST", in hex.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bench/bench.h"

#define CALLS_MAX 64U
#define SEQ_KEY   "\"seq\":"

typedef struct Call {
    const char *action; /* as in the event, with its quotes */
    const char *path;
    Bytes request;
} Call;

static size_t read_calls(Call calls[CALLS_MAX], const char *path)
{
    char *rest = bytes_from_file(path).data, *line;
    size_t n = 0;

    while ((line = strsep(&rest, "\n")) && line[0] != '\0') {
        const char *action = strsep(&line, " ");

        if (n == CALLS_MAX || !line)
            die("%s is not a list of calls", path);
        calls[n].action = strcmp(action, "add") == 0 ? "\"add\"" : "\"remove\"";
        calls[n].path = strsep(&line, " ");
        calls[n++].request = bytes_from_hex(line);
    }
    return n;
}

static void take_line(int fd, const char *line, const Call *calls, size_t n)
{
    const char *seq = strstr(line, SEQ_KEY);
    bool add = strstr(line, "\"add\"") != NULL;
    char answer[128];
    int len;

    if (!seq)
        return; /* hello, synced */
    seq += strlen(SEQ_KEY);
    for (size_t i = 0; i < n; i++)
        if (strstr(line, calls[i].action))
            (void) call(calls[i].path, calls[i].request.data,
                        calls[i].request.len);
    len = snprintf(answer, sizeof(answer), "{\"seq\":%.*s,\"code\":%i}\n",
                   (int) strspn(seq, "0123456789"), seq, add ? 200 : 203);
    send_all(fd, answer, (size_t) len);
}

int main(int argc, char **argv)
{
    Call calls[CALLS_MAX];
    struct pollfd poller = { .events = POLLIN };
    char buffer[65536];
    size_t n_calls, len = 0;
    int fd;

    if (argc != 3)
        die("usage: bench-trivial DIR CALLS");
    n_calls = read_calls(calls, argv[2]);
    poller.fd = listen_at(argv[1], "event.sock");
    (void) puts("ready");
    (void) fflush(stdout);
    if (poll(&poller, 1, -1) != 1)
        die("poll: %s", strerror(errno));
    fd = accept4(poller.fd, NULL, NULL, SOCK_CLOEXEC);

    for (;;) {
        ssize_t n = recv(fd, buffer + len, sizeof(buffer) - len, 0);
        char *line = buffer, *end;

        if (n <= 0)
            return EXIT_SUCCESS;
        len += (size_t) n;
        while ((end = memchr(line, '\n', (size_t) (buffer + len - line)))) {
            *end = '\0';
            take_line(fd, line, calls, n_calls);
            line = end + 1;
        }
        len -= (size_t) (line - buffer);
        memmove(buffer, line, len);
    }
}
