/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Lanes that are measured in turn, one sample each a round, so that whatever
 * else the machine does meets all of them alike. A plan has lines of words:
 *
 *     lane NAME                    the lines that follow are its
 *     call SOCKET REQUEST          a call, timed; bytes are in hex
 *     undo SOCKET REQUEST          the same behind the time
 *     stream SOCKET REQUEST        a call that stays open; what comes is read
 *     connect SOCKET PREAMBLE      an event connection and what is said first
 *     before SOCKET LINE           a command to a stand-in, before the time
 *     add FILE CODE                event lines, timed until all are answered
 *     remove FILE CODE             the same behind the time
 *
 * In lines of events SEQ_MARK becomes the next number. Each sample is told as
 * NAME, 0, and how long it took.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bench/bench.h"
#include "tests/bench/load.h"

#define LANES_MAX 32U
#define CALLS_MAX 2048U
/* calls after which what the stream has brought is read */
#define CALLS_UNREAD_MAX 32U
#define CODE_MARK        "\"code\":"
#define BARRIER                                                             \
    "{\"type\":\"event\",\"seq\":%" PRIu64                                  \
    ",\"action\":\"remove\",\"class\":\"block\",\"device\":\"zz-barrier\"," \
    "\"properties\":{}}\n"
#define BARRIER_CODE 203
/* an event of qubesd that was sent before is handled by then: each is one turn
 * of the daemon's loop at least */
#define N_BARRIERS 3U

typedef struct Call {
    const char *path;
    Bytes request;
} Call;

typedef struct Events {
    char **lines;
    size_t n_lines;
    int code;
} Events;

typedef struct Lane {
    const char *name;
    Call calls[CALLS_MAX], undos[CALLS_MAX];
    size_t n_calls, n_undos;
    Call before;
    Events add, remove;
    int stream_fd;
    int fd;
    uint64_t seq;
} Lane;

static const char *word(char **rest)
{
    char *next = strsep(rest, " ");

    if (!next || next[0] == '\0')
        die("a line of the plan is too short");
    return next;
}

static void take_call(Call *calls, size_t *n, char *rest)
{
    if (*n == CALLS_MAX)
        die("too many calls");
    calls[*n].path = word(&rest);
    calls[(*n)++].request = bytes_from_hex(word(&rest));
}

static void take_events(Events *events, char *rest)
{
    Bytes text = bytes_from_file(word(&rest));
    char *lines = text.data, *line;

    events->code = atoi(word(&rest));
    while ((line = strsep(&lines, "\n")) && line[0] != '\0') {
        events->lines = must_realloc(events->lines, (events->n_lines + 1) *
                                                        sizeof(*events->lines));
        events->lines[events->n_lines++] = line;
    }
}

static void take_connection(int *ret_fd, char *rest, bool ends)
{
    Bytes preamble;

    *ret_fd = connect_to(word(&rest));
    preamble = bytes_from_hex(word(&rest));
    send_all(*ret_fd, preamble.data, preamble.len);
    if (ends)
        (void) shutdown(*ret_fd, SHUT_WR);
    free(preamble.data);
}

static void take_word(Lane *lane, const char *verb, char *rest)
{
    size_t n_before = 0;

    if (strcmp(verb, "call") == 0)
        take_call(lane->calls, &lane->n_calls, rest);
    else if (strcmp(verb, "undo") == 0)
        take_call(lane->undos, &lane->n_undos, rest);
    else if (strcmp(verb, "stream") == 0)
        take_connection(&lane->stream_fd, rest, true);
    else if (strcmp(verb, "connect") == 0)
        take_connection(&lane->fd, rest, false);
    else if (strcmp(verb, "before") == 0)
        take_call(&lane->before, &n_before, rest);
    else if (strcmp(verb, "add") == 0)
        take_events(&lane->add, rest);
    else if (strcmp(verb, "remove") == 0)
        take_events(&lane->remove, rest);
    else
        die("the plan has no '%s'", verb);
}

static size_t read_plan(Lane **lanes, const char *path)
{
    char *rest = bytes_from_file(path).data, *line;
    size_t n = 0;

    while ((line = strsep(&rest, "\n")) && line[0] != '\0') {
        const char *verb = word(&line);

        if (strcmp(verb, "lane") != 0) {
            if (n == 0)
                die("the plan begins without a lane");
            take_word(lanes[n - 1], verb, line);
            continue;
        }
        if (n == LANES_MAX)
            die("too many lanes");
        lanes[n] = must_alloc(sizeof(Lane));
        *lanes[n] = (Lane){ .name = word(&line), .stream_fd = -1, .fd = -1 };
        n++;
    }
    return n;
}

/* One answer line is whole at @line: it has to be the one that is awaited. */
static void check_answer(const Lane *lane, const char *line, int code)
{
    const char *told = strstr(line, CODE_MARK);

    if (!told || atoi(told + strlen(CODE_MARK)) != code)
        die("%s: %i was awaited, not %s", lane->name, code, line);
}

static void await_answers(const Lane *lane, size_t n, int code)
{
    struct pollfd poller = { .fd = lane->fd, .events = POLLIN };
    char buffer[65536];
    size_t len = 0;

    while (n > 0) {
        char *line = buffer, *end;
        ssize_t got;

        if (poll(&poller, 1, BENCH_DEADLINE_MSEC) <= 0)
            die("%s: no answer", lane->name);
        got = recv(lane->fd, buffer + len, sizeof(buffer) - len, 0);
        if (got <= 0)
            die("%s: the connection was closed", lane->name);
        len += (size_t) got;
        while (n > 0 &&
               (end = memchr(line, '\n', (size_t) (buffer + len - line))) !=
                   NULL) {
            *end = '\0';
            check_answer(lane, line, code);
            line = end + 1;
            n--;
        }
        len -= (size_t) (line - buffer);
        memmove(buffer, line, len);
    }
}

static void drain(const Lane *lane)
{
    char buffer[65536];

    while (lane->stream_fd >= 0 &&
           recv(lane->stream_fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
        ;
}

/* What the calls make qubesd tell must not fill the stream. */
static void make_calls(const Lane *lane, const Call *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void) call(calls[i].path, calls[i].request.data, calls[i].request.len);
        if (i % CALLS_UNREAD_MAX == CALLS_UNREAD_MAX - 1)
            drain(lane);
    }
}

static Bytes make_lines(Lane *lane, const Events *events)
{
    size_t size = 0;
    Bytes text;

    for (size_t i = 0; i < events->n_lines; i++)
        size += strlen(events->lines[i]) + 24;
    text = (Bytes){ must_alloc(size), 0 };
    for (size_t i = 0; i < events->n_lines; i++)
        text.len += line_with_seq(text.data + text.len, size - text.len,
                                  events->lines[i], ++lane->seq);
    return text;
}

static void pass_barriers(Lane *lane)
{
    for (size_t i = 0; i < N_BARRIERS; i++) {
        char line[256];
        int len = snprintf(line, sizeof(line), BARRIER, ++lane->seq);

        send_all(lane->fd, line, (size_t) len);
        await_answers(lane, 1, BARRIER_CODE);
    }
}

static void sample(Lane *lane, bool counts)
{
    Bytes adds, removes;
    uint64_t begin, end;

    if (lane->before.path) {
        command(lane->before.path, lane->before.request.data,
                lane->before.request.len);
        pass_barriers(lane);
    }
    adds = make_lines(lane, &lane->add);

    begin = now_ns();
    make_calls(lane, lane->calls, lane->n_calls);
    if (adds.len > 0) {
        send_all(lane->fd, adds.data, adds.len);
        await_answers(lane, lane->add.n_lines, lane->add.code);
    }
    end = now_ns();

    if (counts)
        printf("%s 0 %" PRIu64 "\n", lane->name, end - begin);
    make_calls(lane, lane->undos, lane->n_undos);
    removes = make_lines(lane, &lane->remove);
    if (removes.len > 0) {
        send_all(lane->fd, removes.data, removes.len);
        await_answers(lane, lane->remove.n_lines, lane->remove.code);
    }
    drain(lane);
    free(adds.data);
    free(removes.data);
}

int load_latency(int argc, char **argv)
{
    Lane *lanes[LANES_MAX];
    size_t n_rounds = strtoul(argv[0], NULL, 10);
    size_t n_lanes = read_plan(lanes, argv[1]);

    (void) argc;

    /* the first round of each is for caches; then each begins in turn */
    for (size_t round = 0; round <= n_rounds; round++)
        for (size_t i = 0; i < n_lanes; i++)
            sample(lanes[(round + i) % n_lanes], round > 0);
    return EXIT_SUCCESS;
}
