/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Records as fast as they are taken, and their answers; the same lines
 * through jansson alone. LINES is a file of event lines with SEQ_MARK, used
 * over and over.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <jansson.h>

#include "tests/bench/bench.h"
#include "tests/bench/load.h"

#define CHUNK     65536U
#define LINES_MAX 1024U

typedef struct Lines {
    char *text[LINES_MAX];
    size_t n;
    uint64_t seq;
} Lines;

static void lines_read(Lines *ret, const char *path)
{
    char *rest = bytes_from_file(path).data, *line;

    *ret = (Lines){};
    while ((line = strsep(&rest, "\n")) && line[0] != '\0' &&
           ret->n < ARRAY_SIZE(ret->text))
        ret->text[ret->n++] = line;
    if (ret->n == 0)
        die("%s has no lines", path);
}

static size_t lines_next(Lines *lines, char *buffer, size_t size)
{
    const char *line = lines->text[lines->seq % lines->n];

    return line_with_seq(buffer, size, line, ++lines->seq);
}

typedef struct Flood {
    Lines lines;
    int fd;
    uint64_t n; /* to be sent */
    uint64_t n_answers;
    char out[CHUNK];
    size_t out_len, out_sent;
} Flood;

static void flood_write(Flood *flood)
{
    ssize_t n;

    if (flood->out_sent == flood->out_len) {
        flood->out_len = flood->out_sent = 0;
        while (flood->lines.seq < flood->n && flood->out_len < CHUNK / 2)
            flood->out_len +=
                lines_next(&flood->lines, flood->out + flood->out_len,
                           CHUNK - flood->out_len);
    }
    n = send(flood->fd, flood->out + flood->out_sent,
             flood->out_len - flood->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN)
        die("flood: %s", strerror(errno));
    if (n > 0)
        flood->out_sent += (size_t) n;
}

static void flood_read(Flood *flood)
{
    char buffer[CHUNK];
    ssize_t n = recv(flood->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN))
        die("flood: the connection was closed after %" PRIu64 " answers",
            flood->n_answers);
    for (ssize_t i = 0; i < n; i++)
        flood->n_answers += buffer[i] == '\n';
}

int load_flood(int argc, char **argv)
{
    Bytes preamble = bytes_from_hex(argv[1]);
    pid_t pid = (pid_t) atoi(argv[4]);
    uint64_t begin, cpu;
    Flood flood;

    (void) argc;

    flood =
        (Flood){ .fd = connect_to(argv[0]), .n = strtoull(argv[3], NULL, 10) };
    lines_read(&flood.lines, argv[2]);
    send_all(flood.fd, preamble.data, preamble.len);

    cpu = cpu_ns_of(pid);
    begin = now_ns();
    while (flood.n_answers < flood.n) {
        bool more = flood.out_sent < flood.out_len || flood.lines.seq < flood.n;
        struct pollfd poller = { .fd = flood.fd,
                                 .events =
                                     (short) (POLLIN | (more ? POLLOUT : 0)) };

        if (poll(&poller, 1, BENCH_DEADLINE_MSEC) <= 0)
            die("flood: no answer");
        if (poller.revents & (POLLIN | POLLHUP))
            flood_read(&flood);
        if (more && (poller.revents & POLLOUT))
            flood_write(&flood);
    }
    printf("%" PRIu64 " %" PRIu64 "\n", now_ns() - begin, cpu_ns_of(pid) - cpu);
    return EXIT_SUCCESS;
}

static uint64_t own_cpu_ns(void)
{
    struct timespec used;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t) used.tv_sec * 1000000000U + (uint64_t) used.tv_nsec;
}

int load_parse(int argc, char **argv)
{
    uint64_t n = strtoull(argv[1], NULL, 10), parse = 0, begin;
    char line[8192], *text[LINES_MAX];
    size_t len[LINES_MAX];
    Lines lines;

    (void) argc;

    lines_read(&lines, argv[0]);
    for (uint64_t i = 0; i < n; i += lines.n) {
        for (size_t k = 0; k < lines.n; k++) {
            len[k] = lines_next(&lines, line, sizeof(line));
            text[k] = memcpy(must_alloc(len[k]), line, len[k]);
        }
        begin = own_cpu_ns();
        for (size_t k = 0; k < lines.n; k++) {
            json_t *value =
                json_loadb(text[k], len[k], JSON_REJECT_DUPLICATES, NULL);

            if (!value)
                die("a line is no JSON: %.*s", (int) len[k], text[k]);
            json_decref(value);
        }
        parse += own_cpu_ns() - begin;
        for (size_t k = 0; k < lines.n; k++)
            free(text[k]);
    }
    printf("%" PRIu64 " %" PRIu64 "\n", parse, lines.seq);
    return EXIT_SUCCESS;
}
