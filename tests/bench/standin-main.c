/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The simulated dom0 without its cost: qubesd, policy daemon and policy agent
 * that give, byte by byte, the answers which the simulator in tests/sim gave to
 * the same requests, and send the events that it sent. It knows no state; a
 * request that the simulator was never asked ends it.
 *
 *     bench-standin DIR TABLE
 *
 * makes DIR/{qubesd,policy,agent,bench}.sock and prints "ready". The lines of
 * TABLE, bytes in hex, "-" for none:
 *
 *     call SERVICE REQUEST ANSWER EVENTS      the events come first
 *     frames NAME EVENTS                      sent on the command NAME
 *
 * bench.sock takes one line: a NAME, or "counts", which tells how many calls of
 * each method there were since the last time.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/bench/bench.h"

#define REQUEST_MAX    65536U
#define METHODS_MAX    64U
#define EVENTS_AT_ONCE 32
#define SUBSCRIBE      "admin.Events+"

typedef enum Service {
    QUBESD,
    POLICY,
    AGENT,
    BENCH,
    N_SERVICES,
} Service;

static const char *const service_names[] = { "qubesd", "policy", "agent",
                                             "bench" };

typedef struct Entry {
    Service service;
    Bytes request; /* or the name of frames, with BENCH */
    Bytes answer;
    Bytes frames;
} Entry;

typedef struct Count {
    char method[96];
    size_t n;
} Count;

typedef struct Connection {
    struct Connection *next; /* of the subscribers */
    int fd;
    bool listens;
    Service service;
    size_t len;
    char request[REQUEST_MAX];
} Connection;

typedef struct StandIn {
    int epoll;
    Entry *entries;
    size_t n_entries;
    Connection *subscribers;
    Count counts[METHODS_MAX];
    size_t n_counts;
} StandIn;

static int entry_compare(const void *a, const void *b)
{
    const Entry *left = a, *right = b;

    if (left->service != right->service)
        return left->service < right->service ? -1 : 1;
    if (left->request.len != right->request.len)
        return left->request.len < right->request.len ? -1 : 1;
    return memcmp(left->request.data, right->request.data, left->request.len);
}

static Service service_of(const char *name)
{
    for (size_t i = 0; i < N_SERVICES; i++)
        if (strcmp(name, service_names[i]) == 0)
            return (Service) i;
    die("there is no service %s", name);
}

static const char *next_word(char **text)
{
    const char *word = strsep(text, " ");

    if (!word)
        die("a line of the table is too short");
    return word;
}

static void table_read(StandIn *standin, const char *path)
{
    Bytes text = bytes_from_file(path);
    char *rest = text.data, *line;

    while ((line = strsep(&rest, "\n")) && line[0] != '\0') {
        const char *kind = next_word(&line);
        Entry entry = { .service = BENCH };

        if (strcmp(kind, "call") == 0) {
            entry.service = service_of(next_word(&line));
            entry.request = bytes_from_hex(next_word(&line));
            entry.answer = bytes_from_hex(next_word(&line));
        } else {
            const char *name = next_word(&line);

            entry.request = (Bytes){ strdup(name), strlen(name) };
        }
        entry.frames = bytes_from_hex(next_word(&line));
        standin->entries = must_realloc(
            standin->entries, (standin->n_entries + 1) * sizeof(Entry));
        standin->entries[standin->n_entries++] = entry;
    }
    free(text.data);
    qsort(standin->entries, standin->n_entries, sizeof(Entry), entry_compare);
}

/* The word before '+' or blank is the method. */
static void count_call(StandIn *standin, const Connection *connection)
{
    const char *request = connection->request;
    char method[96];
    size_t i = 0;

    if (connection->service == POLICY)
        (void) snprintf(method, sizeof(method), "policy");
    else
        (void) snprintf(method, sizeof(method), "%.*s",
                        (int) strcspn(request, "+ "), request);
    while (i < standin->n_counts &&
           strcmp(standin->counts[i].method, method) != 0)
        i++;
    if (i == METHODS_MAX)
        die("too many methods");
    if (i == standin->n_counts) {
        standin->n_counts++;
        memcpy(standin->counts[i].method, method, sizeof(method));
    }
    standin->counts[i].n++;
}

static void tell_counts(StandIn *standin, int fd)
{
    char text[METHODS_MAX * 128];
    size_t len = 0;

    len += (size_t) snprintf(text, sizeof(text), "{\"ok\":true,\"counts\":{");
    for (size_t i = 0; i < standin->n_counts; i++)
        len += (size_t) snprintf(text + len, sizeof(text) - len, "%s\"%s\":%zu",
                                 i > 0 ? "," : "", standin->counts[i].method,
                                 standin->counts[i].n);
    len += (size_t) snprintf(text + len, sizeof(text) - len, "}}\n");
    send_all(fd, text, len);
    standin->n_counts = 0;
}

static void connection_end(StandIn *standin, Connection *connection)
{
    Connection **link = &standin->subscribers;

    while (*link && *link != connection)
        link = &(*link)->next;
    if (*link)
        *link = connection->next;
    fd_close(connection->fd);
    free(connection);
}

/* Who is not there any more is found out by this. */
static void publish(StandIn *standin, const Bytes *frames)
{
    Connection *to = frames->len > 0 ? standin->subscribers : NULL;

    while (to) {
        Connection *next = to->next;

        if (send(to->fd, frames->data, frames->len, MSG_NOSIGNAL) < 0)
            connection_end(standin, to);
        to = next;
    }
}

static const Entry *find(const StandIn *standin,
                         Service service,
                         char *request,
                         size_t len)
{
    const Entry key = { .service = service, .request = { request, len } };
    const Entry *entry = bsearch(&key, standin->entries, standin->n_entries,
                                 sizeof(Entry), entry_compare);

    if (!entry)
        die("the simulator was never asked this: %s", request);
    return entry;
}

/* False: it is to be kept. */
static bool serve(StandIn *standin, Connection *connection)
{
    const Entry *entry;

    connection->request[connection->len] = '\0';
    if (connection->service == BENCH) {
        connection->len--; /* the newline */
        if (strncmp(connection->request, "counts\n", 7) == 0) {
            tell_counts(standin, connection->fd);
            return true;
        }
    } else {
        count_call(standin, connection);
    }

    entry = find(standin, connection->service, connection->request,
                 connection->len);
    if (connection->service == QUBESD &&
        strncmp(connection->request, SUBSCRIBE, strlen(SUBSCRIBE)) == 0) {
        (void) send(connection->fd, entry->frames.data, entry->frames.len,
                    MSG_NOSIGNAL);
        connection->next = standin->subscribers;
        standin->subscribers = connection;
        connection->len = 0;
        return false;
    }
    publish(standin, &entry->frames);
    if (connection->service == BENCH)
        send_all(connection->fd, "{\"ok\":true}\n", 12);
    else
        /* who asked may have ended since */
        (void) send(connection->fd, entry->answer.data, entry->answer.len,
                    MSG_NOSIGNAL);
    return true;
}

/* Whether the request is whole: qubesd and agent wait for the end of input. */
static bool is_whole(const Connection *connection, bool ended)
{
    switch (connection->service) {
    case POLICY:
        return connection->len >= 2 &&
               memcmp(connection->request + connection->len - 2, "\n\n", 2) ==
                   0;
    case BENCH:
        return connection->len >= 1 &&
               connection->request[connection->len - 1] == '\n';
    case QUBESD:
    case AGENT:
    case N_SERVICES:
        break;
    }
    return ended;
}

static void on_data(StandIn *standin, Connection *connection)
{
    for (;;) {
        ssize_t n = recv(connection->fd, connection->request + connection->len,
                         REQUEST_MAX - 1 - connection->len, MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n > 0)
            connection->len += (size_t) n;
        if (is_whole(connection, n == 0)) {
            /* a subscriber that is still there has only ended its input */
            if (!serve(standin, connection))
                return;
            connection_end(standin, connection);
            return;
        }
        if (n <= 0) {
            connection_end(standin, connection);
            return;
        }
    }
}

static void watch(const StandIn *standin, Connection *connection)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };

    if (epoll_ctl(standin->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        die("epoll: %s", strerror(errno));
}

static Connection *connection_new(int fd, Service service)
{
    Connection *connection = must_alloc(sizeof(*connection));

    connection->next = NULL;
    connection->fd = fd;
    connection->service = service;
    connection->listens = false;
    connection->len = 0;
    return connection;
}

static void on_connect(StandIn *standin, const Connection *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    Connection *connection;

    if (fd < 0)
        return;
    connection = connection_new(fd, listener->service);
    watch(standin, connection);
}

static bool is_subscriber(const StandIn *standin, const Connection *connection)
{
    for (const Connection *at = standin->subscribers; at; at = at->next)
        if (at == connection)
            return true;
    return false;
}

static void on_event(StandIn *standin, const struct epoll_event *event)
{
    Connection *connection = event->data.ptr;

    if (connection->listens) {
        on_connect(standin, connection);
        return;
    }
    if (is_subscriber(standin, connection))
        /* it has ended its input, and listens on */
        (void) epoll_ctl(standin->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
    else
        on_data(standin, connection);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    StandIn standin = {};

    if (argc != 3)
        die("usage: bench-standin DIR TABLE");
    table_read(&standin, argv[2]);
    standin.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < N_SERVICES; i++) {
        char name[32];
        Connection *listener;

        (void) snprintf(name, sizeof(name), "%s.sock", service_names[i]);
        listener = connection_new(listen_at(argv[1], name), (Service) i);
        listener->listens = true;
        watch(&standin, listener);
    }
    (void) puts("ready");
    (void) fflush(stdout);

    for (;;) {
        int n = epoll_wait(standin.epoll, events, EVENTS_AT_ONCE, -1);

        for (int i = 0; i < n; i++)
            on_event(&standin, &events[i]);
    }
}
