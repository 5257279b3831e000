/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the programs of the benchmarks have in common. They end with a message
 * when something is not as it should be: a figure of a run that went wrong is
 * worth nothing.
 */

#include <sys/types.h>

#include "common/util.h"

/* so long nothing may take that is waited for */
#define BENCH_DEADLINE_MSEC 60000

_Noreturn void die(const char *format, ...) _printf_(1, 2);

void *must_alloc(size_t size);
void *must_realloc(void *pointer, size_t size);

uint64_t now_ns(void);
/* CPU time that process @pid has had, once it is asleep: waits for that */
uint64_t cpu_ns_of(pid_t pid);

typedef struct Bytes {
    char *data;
    size_t len;
} Bytes;

Bytes bytes_from_hex(const char *hex); /* "-" is nothing */
Bytes bytes_from_file(const char *path);

int listen_at(const char *dir, const char *name);
int connect_to(const char *path);
void send_all(int fd, const char *data, size_t len);

/* One call as qubesd and the policy daemon take them: request, end of input,
 * answer to its end. Answers the length of the answer. */
size_t call(const char *path, const char *request, size_t len);

/* A line of a control socket, and the line that comes back, which has to say
 * that it went well. */
void command(const char *path, const char *line, size_t len);

/* An event line with @seq in the place of SEQ_MARK, and a newline. */
#define SEQ_MARK "@SEQ@"
size_t line_with_seq(char *buffer, size_t size, const char *line, uint64_t seq);
