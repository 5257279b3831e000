/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "tests/bench/bench.h"

#define NSEC_PER_SEC  1000000000U
#define NSEC_PER_MSEC 1000000ULL
#define CHUNK         65536U
#define BACKLOG       512

void die(const char *format, ...)
{
    va_list args;

    (void) fputs("bench: ", stderr);
    va_start(args, format);
    (void) vfprintf(stderr, format, args);
    va_end(args);
    (void) fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

void *must_realloc(void *pointer, size_t size)
{
    void *grown = realloc(pointer, size > 0 ? size : 1);

    if (!grown)
        die("out of memory");
    return grown;
}

void *must_alloc(size_t size)
{
    return must_realloc(NULL, size);
}

uint64_t now_ns(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * NSEC_PER_SEC + (uint64_t) now.tv_nsec;
}

static bool is_asleep(pid_t pid)
{
    char path[64], line[256] = "";
    const char *name_end;
    FILE *file;

    (void) snprintf(path, sizeof(path), "/proc/%i/stat", (int) pid);
    file = fopen(path, "re");
    if (!file || !fgets(line, sizeof(line), file))
        die("cannot read %s", path);
    (void) fclose(file);
    name_end = strrchr(line, ')');
    return name_end && strncmp(name_end, ") S", 3) == 0;
}

static uint64_t read_cpu_ns(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 ||
        clock_gettime(clock, &used) < 0)
        die("there is no process %i", (int) pid);
    return (uint64_t) used.tv_sec * NSEC_PER_SEC + (uint64_t) used.tv_nsec;
}

uint64_t cpu_ns_of(pid_t pid)
{
    uint64_t deadline = now_ns() + BENCH_DEADLINE_MSEC * NSEC_PER_MSEC;
    uint64_t used;

    /* the kernel adds it up at ticks and when the process leaves the CPU, and
     * calls it asleep a moment before that */
    for (;;) {
        if (is_asleep(pid)) {
            used = read_cpu_ns(pid);
            if (is_asleep(pid) && read_cpu_ns(pid) == used)
                return used;
        }
        if (now_ns() > deadline)
            die("process %i does not come to rest", (int) pid);
        (void) sched_yield();
    }
}

static unsigned int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned int) (c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned int) (c - 'a') + 10;
    die("'%c' is no hex digit", c);
}

Bytes bytes_from_hex(const char *hex)
{
    Bytes bytes = {};

    if (strcmp(hex, "-") == 0)
        return bytes;
    bytes.len = strlen(hex) / 2;
    bytes.data = must_alloc(bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        bytes.data[i] =
            (char) (nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    return bytes;
}

Bytes bytes_from_file(const char *path)
{
    FILE *file = fopen(path, "re");
    Bytes bytes = {};
    size_t n;

    if (!file)
        die("cannot read %s: %s", path, strerror(errno));
    do {
        /* one more, so that it can be made a string */
        bytes.data = must_realloc(bytes.data, bytes.len + CHUNK + 1);
        n = fread(bytes.data + bytes.len, 1, CHUNK, file);
        bytes.len += n;
    } while (n > 0);
    bytes.data[bytes.len] = '\0';
    (void) fclose(file);
    return bytes;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(address.sun_path))
        die("%s is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

int listen_at(const char *dir, const char *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    char path[256];

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
    address = address_of(path);
    if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
        listen(fd, BACKLOG) < 0)
        die("cannot listen at %s: %s", path, strerror(errno));
    return fd;
}

int connect_to(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_un address = address_of(path);

    if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
        die("cannot connect to %s: %s", path, strerror(errno));
    return fd;
}

void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0)
            die("cannot send: %s", strerror(errno));
        data += n;
        len -= (size_t) n;
    }
}

size_t call(const char *path, const char *request, size_t len)
{
    int fd = connect_to(path);
    size_t answer_len = 0;
    char answer[CHUNK];
    ssize_t n;

    send_all(fd, request, len);
    (void) shutdown(fd, SHUT_WR);
    while ((n = recv(fd, answer, sizeof(answer), 0)) > 0)
        answer_len += (size_t) n;
    if (n < 0)
        die("no answer at %s: %s", path, strerror(errno));
    fd_close(fd);
    return answer_len;
}

void command(const char *path, const char *line, size_t len)
{
    char answer[CHUNK];
    size_t answer_len = 0;
    int fd = connect_to(path);
    ssize_t n;

    send_all(fd, line, len);
    while (answer_len + 1 < sizeof(answer) &&
           !memchr(answer, '\n', answer_len)) {
        n = recv(fd, answer + answer_len, sizeof(answer) - 1 - answer_len, 0);
        if (n <= 0)
            break;
        answer_len += (size_t) n;
    }
    answer[answer_len] = '\0';
    fd_close(fd);
    if (!strstr(answer, "\"ok\":true") && !strstr(answer, "\"ok\": true"))
        die("%s answers %s to %.*s", path, answer, (int) len, line);
}

size_t line_with_seq(char *buffer, size_t size, const char *line, uint64_t seq)
{
    const char *mark = strstr(line, SEQ_MARK);

    if (!mark)
        die("an event without " SEQ_MARK);
    return (size_t) snprintf(buffer, size, "%.*s%" PRIu64 "%s\n",
                             (int) (mark - line), line, seq,
                             mark + strlen(SEQ_MARK));
}
