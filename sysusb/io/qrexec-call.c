/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#include "common/byte-queue.h"
#include "common/sys/clock.h"
#include "common/wire/line-buffer.h"
#include "common/wire/record-wire.h"
#include "sysusb/io/qrexec-call.h"

typedef enum CallState {
    CALL_OPEN,
    CALL_FINISHING,
    CALL_CLOSING,
    CALL_ENDED,
} CallState;

struct QrexecCall {
    CallState state;
    const char *reason;
    uint64_t since_usec;

    sd_event *event;
    sd_event_source *child_source;
    sd_event_source *write_source;
    sd_event_source *read_source;
    sd_event_source *grace_source;
    int write_fd; /* the child's standard input */
    int read_fd;  /* and output */
    bool terminated;

    ByteQueue queue; /* not yet written */
    LineBuffer *lines;

    const QrexecCallOps *ops;
    void *userdata;
};

static void call_close_input(QrexecCall *call)
{
    call->write_source = sd_event_source_disable_unref(call->write_source);
    call->write_fd = fd_close(call->write_fd);
    byte_queue_clear(&call->queue);
}

static void call_close_output(QrexecCall *call)
{
    call->read_source = sd_event_source_disable_unref(call->read_source);
    call->read_fd = fd_close(call->read_fd);
}

static void call_signal(QrexecCall *call, int signal)
{
    (void) sd_event_source_send_child_signal(call->child_source, signal, NULL,
                                             0);
}

static int call_on_grace_over(sd_event_source *source,
                              uint64_t usec,
                              void *userdata)
{
    QrexecCall *call = userdata;

    (void) usec;

    if (call->terminated) {
        call_signal(call, SIGKILL);
        return 0;
    }
    call->terminated = true;
    call_signal(call, SIGTERM);
    (void) sd_event_source_set_time_relative(source, QREXEC_TERM_GRACE_USEC);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void qrexec_call_close(QrexecCall *call, const char *reason)
{
    if (call->state == CALL_CLOSING || call->state == CALL_ENDED)
        return;

    call->state = CALL_CLOSING;
    call->reason = reason;
    call_close_input(call);
    /* without a timer there is no grace */
    if (sd_event_add_time_relative(call->event, &call->grace_source,
                                   CLOCK_MONOTONIC, QREXEC_GRACE_USEC, 0,
                                   call_on_grace_over, call) < 0)
        call_signal(call, SIGKILL);
}

static void call_take_lines(QrexecCall *call)
{
    const char *line;
    size_t len;

    for (;;)
        switch (line_buffer_next(call->lines, &line, &len)) {
        case LINE_NONE:
            return;
        case LINE_GOOD:
            call->ops->on_line(call, line, len, call->userdata);
            break;
        case LINE_TOO_LONG:
            call_close_output(call);
            qrexec_call_close(call, "dom0 sent a line that is too long");
            return;
        }
}

/* Read once. Answers whether there may be more. */
static bool call_read(QrexecCall *call)
{
    size_t size;
    char *space = line_buffer_space(call->lines, &size);
    ssize_t n = read(call->read_fd, space, size);

    if (n < 0 && errno == EINTR)
        return true;
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        /* Also the end of a good call; its child ends by itself then. */
        call_close_output(call);
        qrexec_call_close(call, NULL);
        return false;
    }
    line_buffer_filled(call->lines, (size_t) n);
    call_take_lines(call);
    return call->read_fd >= 0;
}

static int call_on_readable(sd_event_source *source,
                            int fd,
                            uint32_t revents,
                            void *userdata)
{
    (void) source;
    (void) fd;
    (void) revents;

    (void) call_read(userdata);
    return 0;
}

static int call_on_writable(sd_event_source *source,
                            int fd,
                            uint32_t revents,
                            void *userdata)
{
    QrexecCall *call = userdata;
    ssize_t n;

    (void) revents;

    n = write(fd, byte_queue_data(&call->queue), byte_queue_len(&call->queue));
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            qrexec_call_close(call, NULL);
        return 0;
    }

    byte_queue_drop(&call->queue, (size_t) n);
    if (byte_queue_len(&call->queue) > 0)
        return 0;

    if (call->state == CALL_FINISHING) {
        call_close_input(call);
        return 0;
    }
    /* off, not only without EPOLLOUT: a broken pipe would wake us for ever */
    return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

int qrexec_call_write(QrexecCall *call, const char *data, size_t len)
{
    int r;

    if (call->state != CALL_OPEN)
        return -EPIPE;
    r = byte_queue_append(&call->queue, data, len);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(call->write_source, SD_EVENT_ON);
}

void qrexec_call_finish(QrexecCall *call)
{
    if (call->state != CALL_OPEN)
        return;
    call->state = CALL_FINISHING;
    if (byte_queue_len(&call->queue) == 0)
        call_close_input(call);
}

static int call_on_child(sd_event_source *source,
                         const siginfo_t *info,
                         void *userdata)
{
    QrexecCall *call = userdata;
    QrexecEnd end = {
        .exited = info->si_code == CLD_EXITED,
        .status = info->si_status,
        .lived_usec = clock_monotonic_usec() - call->since_usec,
    };

    (void) source;

    /* its last words; a child of its own may hold the pipe open for longer */
    while (call->read_fd >= 0 && call_read(call))
        ;
    end.reason = call->reason;
    call->state = CALL_ENDED;
    call->grace_source = sd_event_source_disable_unref(call->grace_source);
    call->child_source = sd_event_source_disable_unref(call->child_source);
    call_close_input(call);
    call_close_output(call);

    call->ops->on_end(call, &end, call->userdata);
    /* @call may be gone from here on */
    return 0;
}

/* Both ends close-on-exec; ours, @ours of the two, does not block. */
static int pipe_new(int fds[static 2], unsigned int ours)
{
    int flags;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    flags = fcntl(fds[ours], F_GETFL);
    if (flags < 0 || fcntl(fds[ours], F_SETFL, flags | O_NONBLOCK) < 0) {
        int r = -errno;

        fds[0] = fd_close(fds[0]);
        fds[1] = fd_close(fds[1]);
        return r;
    }
    return 0;
}

/* posix_spawn() and friends answer a positive errno. */
static int spawn_with(pid_t *ret,
                      posix_spawn_file_actions_t *actions,
                      posix_spawnattr_t *attributes,
                      const char *client,
                      const char *service)
{
    char *const argv[] = { (char *) (uintptr_t) client, (char[]){ "dom0" },
                           (char *) (uintptr_t) service, NULL };
    sigset_t none, pipe;
    int r;

    (void) sigemptyset(&none);
    (void) sigemptyset(&pipe);
    (void) sigaddset(&pipe, SIGPIPE);

    r = posix_spawnattr_setsigmask(attributes, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attributes, &pipe);
    if (r == 0)
        r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
                                                     POSIX_SPAWN_SETSIGDEF);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(actions,
                                                     STDERR_FILENO + 1);
    if (r == 0)
        r = posix_spawn(ret, client, actions, attributes, argv, environ);
    return -r;
}

static int spawn(pid_t *ret,
                 const char *client,
                 const char *service,
                 int stdin_fd,
                 int stdout_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r;

    r = -posix_spawn_file_actions_init(&actions);
    if (r < 0)
        return r;
    r = -posix_spawnattr_init(&attributes);
    if (r == 0) {
        r = -posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
        if (r == 0)
            r = -posix_spawn_file_actions_adddup2(&actions, stdout_fd,
                                                  STDOUT_FILENO);
        if (r == 0)
            r = spawn_with(ret, &actions, &attributes, client, service);
        (void) posix_spawnattr_destroy(&attributes);
    }
    (void) posix_spawn_file_actions_destroy(&actions);
    return r;
}

static int call_start(QrexecCall *call, const char *client, const char *service)
{
    _cleanup_(fd_closep) int stdin_fd = -1, stdout_fd = -1;
    int fds[2], r;
    pid_t pid;

    r = pipe_new(fds, 1);
    if (r < 0)
        return r;
    stdin_fd = fds[0];
    call->write_fd = fds[1];
    r = pipe_new(fds, 0);
    if (r < 0)
        return r;
    call->read_fd = fds[0];
    stdout_fd = fds[1];

    r = sd_event_add_io(call->event, &call->write_source, call->write_fd,
                        EPOLLOUT, call_on_writable, call);
    if (r >= 0)
        r = sd_event_source_set_enabled(call->write_source, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_io(call->event, &call->read_source, call->read_fd,
                            EPOLLIN, call_on_readable, call);
    if (r >= 0)
        r = spawn(&pid, client, service, stdin_fd, stdout_fd);
    if (r < 0)
        return r;

    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): spawn() gave it */
    r = sd_event_add_child(call->event, &call->child_source, pid, WEXITED,
                           call_on_child, call);
    if (r < 0) {
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
    }
    return r;
}

int qrexec_call_new(QrexecCall **ret,
                    sd_event *event,
                    const char *client,
                    const char *service,
                    size_t queue_max,
                    const QrexecCallOps *ops,
                    void *userdata)
{
    _cleanup_(qrexec_call_freep) QrexecCall *call = NULL;
    int r;

    call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    *call = (QrexecCall){
        .event = sd_event_ref(event),
        .since_usec = clock_monotonic_usec(),
        .write_fd = -1,
        .read_fd = -1,
        .queue.max = queue_max,
        .ops = ops,
        .userdata = userdata,
    };

    r = line_buffer_new(&call->lines, WIRE_LINE_MAX);
    if (r < 0)
        return r;
    r = call_start(call, client, service);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(call);
    return 0;
}

QrexecCall *qrexec_call_free(QrexecCall *call)
{
    if (!call)
        return NULL;

    call->grace_source = sd_event_source_disable_unref(call->grace_source);
    /* a child that is the source's own is killed and reaped with it */
    if (call->child_source)
        (void) sd_event_source_set_child_process_own(call->child_source, true);
    call->child_source = sd_event_source_disable_unref(call->child_source);
    call_close_input(call);
    call_close_output(call);
    line_buffer_free(call->lines);
    sd_event_unref(call->event);
    free(call);
    return NULL;
}
