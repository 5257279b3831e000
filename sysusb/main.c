/* SPDX-License-Identifier: GPL-2.0-or-later */

/* qubes-autoattach-forwarder */

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/sys/log.h"
#include "sysusb/agent.h"
#include "sysusb/options.h"

static int on_end_signal(sd_event_source *source,
                         const struct signalfd_siginfo *info,
                         void *userdata)
{
    (void) source;
    (void) info;

    agent_stop(userdata);
    return 0;
}

/* sd-event takes these signals, so they must not interrupt us. */
static int signals_block(void)
{
    sigset_t signals;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGCHLD);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigaddset(&signals, SIGINT);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -errno : 0;
}

static int run(const ForwarderOptions *options)
{
    AgentConfig config = {
        .qrexec_client = options->qrexec_client,
        .export_qemu = options->export_qemu,
        .queue_max = AGENT_QUEUE_MAX,
    };
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(agent_freep) Agent *agent = NULL;
    int r;

    r = signals_block();
    if (r < 0)
        return r;
    r = sd_event_default(&event);
    if (r < 0)
        return r;
    r = sd_event_set_watchdog(event, true);
    if (r < 0)
        return r;
    r = agent_new(&agent, event, &config);
    if (r < 0)
        return r;
    r = sd_event_add_signal(event, NULL, SIGTERM, on_end_signal, agent);
    if (r < 0)
        return r;
    r = sd_event_add_signal(event, NULL, SIGINT, on_end_signal, agent);
    if (r < 0)
        return r;

    return sd_event_loop(event);
}

int main(int argc, char **argv)
{
    ForwarderOptions options;
    int r;

    switch (forwarder_options_parse(&options, argc, argv)) {
    case OPTIONS_WRONG:
        return EXIT_USAGE;
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_RUN:
        break;
    }

    r = run(&options);
    if (r < 0)
        log_message(LOG_ERR, "The forwarder cannot go on: %s", strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
