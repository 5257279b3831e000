/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "common/sys/clock.h"
#include "common/sys/log.h"
#include "common/sys/socket.h"
#include "dom0/daemon-internal.h"
#include "dom0/instant.h"

#define SOCKET_MODE 0660
/* in the state folder; qubes-autoattachd-agent.path watches it */
#define REFUSED_FILE "agent-refused"
/* more than all connections, calls and clients need at their limits */
#define FILES_MAX 4096U

/* rules */

static void daemon_reload(Daemon *daemon)
{
    if (rules_reload(daemon->rules) < 0)
        log_message(LOG_ERR, "out of memory: the old rules stay in force");
    manager_set_rules(daemon->manager, rules_get(daemon->rules), instant_now());
    daemon_wake_later(daemon);
}

static void on_rules_changed(void *userdata)
{
    daemon_reload(userdata);
}

/* Without the watch, rules are read only when somebody says so. */
static void daemon_watch_rules(Daemon *daemon)
{
    int r = daemon->rules_dir ? rules_dir_watch(daemon->rules_dir)
                              : rules_dir_new(&daemon->rules_dir, daemon->event,
                                              daemon->options->rules_dir,
                                              on_rules_changed, daemon);

    if (r < 0)
        log_message(LOG_WARNING,
                    "changes of %s will only be seen on SIGHUP: %s",
                    daemon->options->rules_dir, strerror(-r));
}

/* Somebody says so: what kept us from watching may be over. */
static void on_reload_asked(void *userdata)
{
    daemon_watch_rules(userdata);
    daemon_reload(userdata);
}

static int daemon_on_sighup(sd_event_source *source,
                            const struct signalfd_siginfo *info,
                            void *userdata)
{
    (void) source;
    (void) info;

    (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                      clock_monotonic_usec());
    on_reload_asked(userdata);
    (void) sd_notify(0, "READY=1");
    return 0;
}

/* control */

/* Resident memory, from /proc/self/statm: its second number, in pages. */
static uint64_t memory_bytes(void)
{
    FILE *statm = fopen("/proc/self/statm", "re");
    uint64_t n_pages = 0;

    if (!statm)
        return 0;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel's own words */
    if (fscanf(statm, "%*u %" SCNu64, &n_pages) != 1)
        n_pages = 0;
    (void) fclose(statm);
    return n_pages * (uint64_t) sysconf(_SC_PAGESIZE);
}

static void on_control_report(Report *report, Instant now, void *userdata)
{
    const Daemon *daemon = userdata;

    report->version = AUTOATTACH_VERSION;
    report->pid = (uint64_t) getpid();
    report->uptime_usec = now.monotonic_usec - daemon->begun_usec;
    report->memory_bytes = memory_bytes();
    report->unlimited = daemon->options->unlimited;
    report->state_problem = state_keeper_detail(daemon->keeper);
    report->qubesd = qubesd_state(daemon->qubesd);
    report->qubesd_detail = qubesd_detail(daemon->qubesd);
    rules_report(daemon->rules, report);
    manager_report(daemon->manager, report, now);
    report->agent_refused =
        report->no_agent && approver_is_refused(daemon->approver);
}

/* What a person has asked for is kept before it is answered. */
static void on_acted(void *userdata)
{
    daemon_pump(userdata);
}

static void on_control_log(const char *message, void *userdata)
{
    (void) userdata;

    log_message(LOG_WARNING, "%s", message);
}

static const ControlHooks control_hooks = {
    .on_report = on_control_report,
    .on_reload = on_reload_asked,
    .on_acted = on_acted,
    .on_log = on_control_log,
};

/* start and end */

/* A socket that systemd passes under @name, or one of our own at @path. */
static int daemon_listen(const char *name, const char *path, bool *ret_own)
{
    char **names = NULL;
    int n = sd_listen_fds_with_names(0, &names);
    int fd = -1;

    for (int i = 0; i < n; i++) {
        if (fd < 0 && strcmp(names[i], name) == 0 &&
            sd_is_socket(SD_LISTEN_FDS_START + i, AF_UNIX, SOCK_STREAM, 1) > 0)
            fd = SD_LISTEN_FDS_START + i;
        free(names[i]);
    }
    free(names);
    if (fd >= 0)
        return fd;

    fd = socket_listen(path, SOCKET_MODE);
    if (fd < 0)
        log_message(LOG_ERR, "cannot listen at %s: %s", path, strerror(-fd));
    *ret_own = fd >= 0;
    return fd;
}

/* Before anything is read or written: where another daemon has the sockets, the
 * state is that one's, too. */
static int daemon_listen_all(Daemon *daemon)
{
    daemon->event_fd = daemon_listen("event", daemon->options->event_socket,
                                     &daemon->owns_event_socket);
    if (daemon->event_fd < 0)
        return daemon->event_fd;
    daemon->control_fd =
        daemon_listen("control", daemon->options->control_socket,
                      &daemon->owns_control_socket);
    return daemon->control_fd < 0 ? daemon->control_fd : 0;
}

static int daemon_serve(Daemon *daemon)
{
    const InquirySockets sockets = {
        .event = daemon->event,
        .qubesd_socket = daemon->options->qubesd_socket,
        .policy_socket = daemon->options->policy_socket,
    };
    int r;

    r = event_service_new(&daemon->event_service, daemon->event,
                          take_fd(&daemon->event_fd), &daemon_event_hooks,
                          daemon);
    if (r < 0)
        return r;
    return control_new(&daemon->control, &sockets, take_fd(&daemon->control_fd),
                       daemon->manager, &control_hooks, daemon);
}

static int daemon_open_approver(Daemon *daemon)
{
    ApproverPaths paths = {
        .policy_socket = daemon->options->policy_socket,
        .agent_socket = daemon->options->agent_socket,
    };

    if (asprintf(&daemon->refused_file, "%s/" REFUSED_FILE,
                 daemon->options->state_dir) < 0)
        return -ENOMEM;
    paths.refused_file = daemon->refused_file;
    return approver_new(&daemon->approver, daemon->event, &paths,
                        &daemon_approver_hooks, daemon);
}

static int daemon_open(Daemon *daemon)
{
    int r;

    r = daemon_listen_all(daemon);
    if (r < 0)
        return r;
    r = state_keeper_new(&daemon->keeper, daemon->options->state_dir);
    if (r < 0)
        return r;
    r = state_keeper_restore(daemon->keeper, &daemon->manager,
                             daemon->options->unlimited);
    if (r < 0)
        return r;
    r = outcome_log_new(&daemon->log, daemon->event);
    if (r < 0)
        return r;
    r = rules_new(&daemon->rules, daemon->options->rules_dir);
    if (r < 0)
        return r;
    /* watch first: what changes while they are read is read again */
    daemon_watch_rules(daemon);
    /* without memory there are no old rules: better to be started again */
    r = rules_reload(daemon->rules);
    if (r < 0)
        return r;
    manager_set_rules(daemon->manager, rules_get(daemon->rules), instant_now());

    r = daemon_open_approver(daemon);
    if (r < 0)
        return r;
    r = qubesd_new(&daemon->qubesd, daemon->event,
                   daemon->options->qubesd_socket, &daemon_qubesd_hooks,
                   daemon);
    if (r < 0)
        return r;
    return daemon_serve(daemon);
}

static int daemon_set_up_loop(Daemon *daemon)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    sigset_t mask;
    int r;

    (void) sigemptyset(&mask);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        (void) sigaddset(&mask, signals[i]);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return -errno;

    r = sd_event_new(&daemon->event);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        /* a signal without a handler of ours ends the loop */
        r = sd_event_add_signal(daemon->event, NULL, signals[i],
                                signals[i] == SIGHUP ? daemon_on_sighup : NULL,
                                signals[i] == SIGHUP ? daemon : NULL);
        if (r < 0)
            return r;
    }
    r = daemon_open_pump(daemon);
    if (r < 0)
        return r;
    return sd_event_set_watchdog(daemon->event, true);
}

/* systemd's soft limit is 1024: less than our own limits may need. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_MAX)
        return;
    limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
    (void) setrlimit(RLIMIT_NOFILE, &limit);
}

int daemon_new(Daemon **ret, const Options *options)
{
    _cleanup_(daemon_freep) Daemon *daemon = calloc(1, sizeof(*daemon));
    int r = daemon ? 0 : -ENOMEM;

    raise_file_limit();
    if (daemon) {
        daemon->options = options;
        daemon->event_fd = daemon->control_fd = -1;
        daemon->begun_usec = clock_monotonic_usec();
        r = daemon_set_up_loop(daemon);
    }
    if (r >= 0)
        r = daemon_open(daemon);
    if (r < 0) {
        log_message(LOG_ERR, "cannot start: %s", strerror(-r));
        return r;
    }

    if (options->unlimited)
        log_message(LOG_WARNING,
                    "--unlimited: ALL RATES ARE OFF. Any USB qube can flood "
                    "this machine. For tests only.");
    *ret = TAKE_PTR(daemon);
    return 0;
}

Daemon *daemon_free(Daemon *daemon)
{
    if (!daemon)
        return NULL;

    control_free(daemon->control);
    event_service_free(daemon->event_service);
    fd_close(daemon->event_fd);
    fd_close(daemon->control_fd);
    qubesd_free(daemon->qubesd);
    approver_free(daemon->approver);
    free(daemon->refused_file);
    rules_dir_free(daemon->rules_dir);
    manager_free(daemon->manager);
    state_keeper_free(daemon->keeper);
    rules_free(daemon->rules);
    outcome_log_free(daemon->log);
    if (daemon->owns_event_socket)
        (void) unlink(daemon->options->event_socket);
    if (daemon->owns_control_socket)
        (void) unlink(daemon->options->control_socket);
    sd_event_source_disable_unref(daemon->pump_source);
    sd_event_source_disable_unref(daemon->pause_timer);
    sd_event_source_disable_unref(daemon->timer);
    sd_event_unref(daemon->event);
    free(daemon);
    return NULL;
}

int daemon_run(Daemon *daemon)
{
    int r;

    (void) sd_notify(0, "READY=1");
    r = sd_event_loop(daemon->event);
    (void) sd_notify(0, "STOPPING=1");
    daemon_wind_up(daemon);
    if (r < 0)
        log_message(LOG_ERR, "the event loop failed: %s", strerror(-r));
    return r;
}
