/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/rate.h"
#include "sysusb/core/snapshot.h"
#include "sysusb/hello.h"
#include "sysusb/options.h"

enum {
    ARG_QREXEC_CLIENT = 256,
    ARG_EXPORT_QEMU,
    ARG_TIMEOUT,
    ARG_VERSION,
};

/* what both programs take */
#define COMMON_OPTIONS                                               \
    { "qrexec-client", required_argument, NULL, ARG_QREXEC_CLIENT }, \
        { "export-qemu", no_argument, NULL, ARG_EXPORT_QEMU },       \
        { "help", no_argument, NULL, 'h' },                          \
    {                                                                \
        "version", no_argument, NULL, ARG_VERSION                    \
    }

#define COMMON_HELP                                                        \
    "      --qrexec-client PATH  call dom0 with this program\n"            \
    "                            (" QREXEC_CLIENT_DEFAULT ")\n"            \
    "      --export-qemu         also devices that QEMU emulates, which\n" \
    "                            Qubes leaves out; for tests\n"            \
    "  -h, --help                show this text\n"                         \
    "      --version             show the version\n"

static void forwarder_help(void)
{
    (void) fputs("Usage: qubes-autoattach-forwarder [OPTION...]\n"
                 "\n"
                 "Tells dom0 what is plugged in, for as long as it runs.\n"
                 "\n" COMMON_HELP "\n"
                 "See qubes-autoattach-forwarder(8).\n",
                 stdout);
}

static void send_help(void)
{
    (void) fputs(
        "Usage: qubes-autoattach-send [OPTION...] DEVICE...\n"
        "\n"
        "Tells dom0 of the devices once, as if they were just plugged in, and\n"
        "waits for its answers. DEVICE is /dev/sda, sda or 2-1.4.\n"
        "\n"
        "      --timeout TIME        wait at most so long, as 30s, 5m or 2h\n"
        "                            (until dom0 answers: a prompt may take\n"
        "                            its time)\n" COMMON_HELP "\n"
        "Exit status, the highest of all devices: 0 attached, 3 not attached,\n"
        "4 no such device or not exported by Qubes or refused by dom0 as\n"
        "wrong, 5 no connection or no answer, 64 wrong usage.\n",
        stdout);
}

static OptionsResult wrong(const char *program)
{
    (void) fprintf(stderr, "Try '%s --help'.\n", program);
    return OPTIONS_WRONG;
}

static OptionsResult show_version(const char *program)
{
    (void) printf("%s %s\n", program, AUTOATTACH_VERSION);
    return OPTIONS_DONE;
}

bool timeout_parse(uint64_t *ret_usec, const char *text)
{
    static const struct {
        const char *unit;
        uint64_t usec;
    } units[] = {
        { "", USEC_PER_SEC },
        { "s", USEC_PER_SEC },
        { "m", 60 * USEC_PER_SEC },
        { "h", 3600 * USEC_PER_SEC },
    };
    uint64_t number = 0;
    const char *at;

    for (at = text; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (uint64_t) (*at - '0');
        if (number > SEND_TIMEOUT_MAX_USEC / USEC_PER_SEC)
            return false;
    }
    if (at == text || number == 0)
        return false;

    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (strcmp(at, units[i].unit) == 0) {
            *ret_usec = number * units[i].usec;
            return *ret_usec <= SEND_TIMEOUT_MAX_USEC;
        }
    return false;
}

OptionsResult forwarder_options_parse(ForwarderOptions *ret,
                                      int argc,
                                      char **argv)
{
    static const char program[] = "qubes-autoattach-forwarder";
    static const struct option options[] = { COMMON_OPTIONS, {} };
    ForwarderOptions parsed = { .qrexec_client = QREXEC_CLIENT_DEFAULT };
    int option;

    optind = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0)
        switch (option) {
        case ARG_QREXEC_CLIENT:
            parsed.qrexec_client = optarg;
            break;
        case ARG_EXPORT_QEMU:
            parsed.export_qemu = true;
            break;
        case 'h':
            forwarder_help();
            return OPTIONS_DONE;
        case ARG_VERSION:
            return show_version(program);
        default:
            return wrong(program);
        }

    if (optind < argc) {
        (void) fprintf(stderr, "%s: unexpected argument '%s'\n", program,
                       argv[optind]);
        return wrong(program);
    }
    *ret = parsed;
    return OPTIONS_RUN;
}

/* What is left of the command line. */
static OptionsResult take_devices(SendOptions *ret,
                                  const char *program,
                                  int argc,
                                  char **argv)
{
    if (optind >= argc) {
        (void) fprintf(stderr, "%s: no device is given\n", program);
        return wrong(program);
    }
    ret->devices = argv + optind;
    ret->n_devices = (size_t) (argc - optind);
    if (ret->n_devices > SNAPSHOT_MAX) {
        (void) fprintf(stderr, "%s: more than %u devices\n", program,
                       SNAPSHOT_MAX);
        return wrong(program);
    }
    return OPTIONS_RUN;
}

OptionsResult send_options_parse(SendOptions *ret, int argc, char **argv)
{
    static const char program[] = "qubes-autoattach-send";
    static const struct option options[] = {
        { "timeout", required_argument, NULL, ARG_TIMEOUT },
        COMMON_OPTIONS,
        {},
    };
    SendOptions parsed = { .qrexec_client = QREXEC_CLIENT_DEFAULT };
    OptionsResult result;
    int option;

    optind = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0)
        switch (option) {
        case ARG_QREXEC_CLIENT:
            parsed.qrexec_client = optarg;
            break;
        case ARG_EXPORT_QEMU:
            parsed.export_qemu = true;
            break;
        case ARG_TIMEOUT:
            if (timeout_parse(&parsed.timeout_usec, optarg))
                break;
            (void) fprintf(stderr,
                           "%s: --timeout takes a time as 30s, 5m or 2h, at "
                           "most a day\n",
                           program);
            return wrong(program);
        case 'h':
            send_help();
            return OPTIONS_DONE;
        case ARG_VERSION:
            return show_version(program);
        default:
            return wrong(program);
        }

    result = take_devices(&parsed, program, argc, argv);
    if (result == OPTIONS_RUN)
        *ret = parsed;
    return result;
}
