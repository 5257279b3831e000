/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "common/sys/clock.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/operand.h"
#include "dom0/ctl/outcome-text.h"
#include "dom0/ctl/view.h"

#define SHOWN_DEFAULT 20U
/* between two tries to reach a daemon that has gone */
#define RETRY_USEC (1 * USEC_PER_SEC)
/* from so long on it is told in seconds */
#define MS_SHOWN_USEC (10 * USEC_PER_SEC)

static const char help[] =
    "Usage: " CTL_NAME " history [-n N] [-f] [--json] [-q | -v]\n"
    "                              [--socket PATH]\n"
    "\n"
    "Show the last outcomes: what became of each device, and why; newest last. "
    "What\n"
    "a device says of itself is shown between double quotes.\n"
    "\n"
    "Options:\n"
    "  -n, --number N     the last N outcomes (default 20)\n"
    "  -f, --follow       then go on with what comes, until Ctrl-C; when the "
    "daemon\n"
    "                     is restarted, with the new one\n"
    "      --json         one JSON object in ASCII a line; their form is that "
    "of\n"
    "                     Outcome in org.qubes-contrib.autoattach\n"
    "  -q, --quiet        without the lines of detail\n"
    "  -v, --verbose      with code, name and duration\n"
    "      --socket PATH  the daemon's control socket, if it is not\n"
    "                     " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: 0 if the daemon answered, 5 if not, 64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " history -n 5 -f\n";

typedef struct Follower {
    const Arguments *arguments;
    Terminal *terminal;
    Client *client;
    uint64_t begun_usec; /* which daemon @serial is of */
    uint64_t serial;     /* of the last outcome that was printed */
} Follower;

/* What a machine takes is told in milliseconds, what a person takes is not. */
static const char *show_duration(ShowText *ret, uint64_t usec)
{
    if (usec >= MS_SHOWN_USEC)
        return show_span(ret, usec);
    (void) text_format(ret->s, sizeof(ret->s), "%" PRIu64 " ms",
                       usec / USEC_PER_MSEC);
    return ret->s;
}

/* "2026-01-31 15:04:05", local time */
static void show_time(Cell *ret, uint64_t usec)
{
    time_t seconds = (time_t) (usec / USEC_PER_SEC);
    struct tm tm;

    if (!localtime_r(&seconds, &tm) ||
        strftime(ret->s, sizeof(ret->s), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        ret->s[0] = '\0';
}

static void print_outcome(View *view,
                          const json_t *outcome,
                          const Arguments *arguments)
{
    char text[2 * SHOW_TEXT_MAX];
    const size_t hang = 2 * VIEW_INDENT;
    ShowText detail, status, duration;
    Cell when;

    show_time(&when, member_number(outcome, "time_usec"));
    outcome_text(view, text, sizeof(text), outcome);
    view_print(view, outcome_style(outcome), 0, hang, "%s %s", when.s, text);

    view_shown(view, &detail, outcome, "detail");
    if (detail.s[0] && !arguments_have(arguments, OPTION_QUIET))
        view_print(view, STYLE_FAINT, hang, hang, "%s", detail.s);
    if (arguments_have(arguments, OPTION_VERBOSE))
        view_print(
            view, STYLE_FAINT, hang, hang, "%" PRIu64 " %s, after %s",
            member_number(outcome, "code"),
            view_shown(view, &status, outcome, "status"),
            show_duration(&duration, member_number(outcome, "duration_usec")));
}

static void print_reply(Follower *follower, const json_t *reply)
{
    const json_t *outcomes = json_object_get(reply, "outcomes"), *outcome;
    uint64_t begun_usec = member_number(reply, "begun_usec");
    uint64_t n_missed = member_number(reply, "n_missed");
    size_t index;
    View view;

    if (begun_usec != follower->begun_usec)
        follower->serial = 0;
    follower->begun_usec = begun_usec;
    if (n_missed > 0)
        (void) fprintf(stderr,
                       CTL_NAME ": %" PRIu64 " outcomes came too fast to be "
                                "shown\n",
                       n_missed);

    view_init(&view, follower->terminal, clock_realtime_usec(), true);
    json_array_foreach(outcomes, index, outcome)
    {
        uint64_t serial = member_number(outcome, "serial");

        if (serial <= follower->serial)
            continue; /* it was shown before the connection broke */
        follower->serial = serial;
        if (arguments_have(follower->arguments, OPTION_JSON))
            view_json(follower->terminal, outcome);
        else
            print_outcome(&view, outcome, follower->arguments);
    }
}

/* Print what comes, until it is over: 0, or a negative errno. */
static int follow(Follower *follower,
                  ClientError *error,
                  json_t *parameters,
                  uint64_t first_until_usec)
{
    bool more = arguments_have(follower->arguments, OPTION_FOLLOW);
    uint64_t until_usec = first_until_usec;
    int r =
        client_send(follower->client, error, "GetHistory", parameters, more);

    while (r == 0) {
        _cleanup_(json_decrefp) json_t *reply = NULL;
        bool continues;

        r = client_receive(follower->client, error, &reply, &continues,
                           until_usec);
        if (r < 0)
            break;
        print_reply(follower, reply);
        if (!continues)
            break;
        if (fflush(follower->terminal->out) != 0)
            break; /* terminal_finish() says so */
        until_usec = CLIENT_FOREVER;
    }
    return r;
}

/* The daemon has gone; wait for the next. -EINTR if that is not wanted. */
static int come_back(Follower *follower, ClientError *error)
{
    (void) fputs(CTL_NAME ": the daemon has gone; waiting for it to come "
                          "back\n",
                 stderr);
    do {
        if (client_pause(follower->client, RETRY_USEC))
            return -EINTR;
    } while (client_reopen(follower->client, error) < 0);
    return 0;
}

static int run(Follower *follower, json_t *parameters)
{
    bool follows = arguments_have(follower->arguments, OPTION_FOLLOW);
    ClientError error;
    int r = client_open(&follower->client, &error,
                        client_path(follower->arguments));

    if (r < 0) {
        json_decref(parameters);
        return client_complain(&error);
    }
    if (follows) {
        (void) client_catch_signals(follower->client);
        client_watch_output(follower->client, fileno(follower->terminal->out));
    }

    r = follow(follower, &error, parameters,
               clock_monotonic_usec() + CLIENT_DEADLINE_USEC);
    while (follows && (r == -EPIPE || r == -ECONNRESET)) {
        r = come_back(follower, &error);
        /* all of the new daemon's outcomes are new */
        if (r == 0)
            r = follow(follower, &error, json_object(), CLIENT_FOREVER);
    }
    return r < 0 && r != -EINTR ? client_complain(&error) : CTL_EXIT_OK;
}

static int history_run(const Arguments *arguments, Terminal *terminal)
{
    Follower follower = { .arguments = arguments, .terminal = terminal };
    uint32_t n = SHOWN_DEFAULT;
    int status;

    if (arguments_have(arguments, OPTION_NUMBER) &&
        !number_arg_parse(&n, arguments->values[OPTION_NUMBER]))
        return CTL_EXIT_USAGE;

    status = run(&follower, json_pack("{s:I}", "n", (json_int_t) n));
    if (status == CTL_EXIT_OK && n > 0 && follower.serial == 0 &&
        !arguments_have(arguments, OPTION_FOLLOW) &&
        !arguments_have(arguments, OPTION_JSON) &&
        !arguments_have(arguments, OPTION_QUIET))
        (void) fputs("no outcomes yet\n", terminal->out);
    client_free(follower.client);
    return status;
}

const Command history_command = {
    .name = "history",
    .summary = "the last outcomes, and why; -f goes on with new ones",
    .help = help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET) |
               OPTION_BIT(OPTION_NUMBER) | OPTION_BIT(OPTION_FOLLOW),
    .operands_max = 0,
    .run = history_run,
};
