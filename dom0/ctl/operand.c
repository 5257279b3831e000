/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "common/rate.h"
#include "common/status.h"
#include "dom0/ctl/command.h"
#include "dom0/ctl/operand.h"
#include "dom0/ctl/show.h"

#define DIGITS_MAX 9U /* fits into 32 bits */

/* a hundred years, as for the daemon: with it no clock goes over */
#define TIME_MAX_USEC (UINT64_C(36525) * 24 * 3600 * USEC_PER_SEC)

bool device_arg_parse(DeviceArg *ret, const char *text)
{
    const char *colon = strchr(text, ':');
    ShowText shown;

    if (!colon) {
        (void) fprintf(stderr,
                       CTL_NAME ": %s is no device; write it as its qube and "
                                "its name there, as sys-usb:sda (" CTL_NAME
                                " devices lists them)\n",
                       show_quoted(&shown, text, false));
        return false;
    }
    if (!qube_name_parse(&ret->source, text, (size_t) (colon - text))) {
        (void) fprintf(stderr,
                       CTL_NAME ": what is before the colon in %s is not the "
                                "name of a qube\n",
                       show_quoted(&shown, text, false));
        return false;
    }
    ret->class =
        device_name_parse_any(&ret->device, colon + 1, strlen(colon + 1));
    if (ret->class == DEVICE_CLASS_INVALID) {
        (void) fprintf(stderr,
                       CTL_NAME ": what is after the colon in %s is not the "
                                "name of a device, as sda, sda1 or 2-1.4\n",
                       show_quoted(&shown, text, false));
        return false;
    }
    return true;
}

json_t *device_arg_to_json(const DeviceArg *device)
{
    return json_pack("{s:s, s:s}", "source", device->source.s, "device",
                     device->device.s);
}

/* Digits at the start of @text; answers how many. */
static size_t take_digits(uint32_t *ret, const char *text)
{
    size_t len = strspn(text, "0123456789");

    *ret = 0;
    if (len > DIGITS_MAX)
        return 0;
    for (size_t i = 0; i < len; i++)
        *ret = *ret * 10 + (uint32_t) (text[i] - '0');
    return len;
}

bool number_arg_parse(uint32_t *ret, const char *text)
{
    size_t len = take_digits(ret, text);
    ShowText shown;

    if (len > 0 && text[len] == '\0')
        return true;
    (void) fprintf(stderr, CTL_NAME ": %s is no number\n",
                   show_quoted(&shown, text, false));
    return false;
}

static uint64_t unit_usec(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t n_seconds;
    } units[] = {
        { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (strcmp(units[i].name, unit) == 0)
            return units[i].n_seconds * USEC_PER_SEC;
    return 0;
}

bool time_arg_parse(uint64_t *ret_usec, const char *text)
{
    uint32_t number;
    size_t len = take_digits(&number, text);
    uint64_t unit = unit_usec(text + len);
    ShowText shown;

    if (len > 0 && number > 0 && unit > 0 && number <= TIME_MAX_USEC / unit) {
        *ret_usec = number * unit;
        return true;
    }
    (void) fprintf(stderr,
                   CTL_NAME ": %s is no time; write it as 30s, 5m or 2h\n",
                   show_quoted(&shown, text, false));
    return false;
}

int complain_no_device(const char *name)
{
    ShowText shown;

    (void) fprintf(stderr,
                   CTL_NAME ": no device %s is reported; " CTL_NAME
                            " devices lists those that are, " CTL_NAME
                            " status tells which USB qubes report\n",
                   show_text(&shown, name, false));
    return status_exit(STATUS_NO_SUCH_DEVICE);
}
