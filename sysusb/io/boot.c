/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <systemd/sd-id128.h>

#include "sysusb/io/boot.h"

int boot_id_read(BootId *ret)
{
    char text[SD_ID128_STRING_MAX];
    sd_id128_t id;
    int r;

    r = sd_id128_get_boot(&id);
    if (r < 0)
        return r;
    return boot_id_parse(ret, sd_id128_to_string(id, text), BOOT_ID_LEN)
               ? 0
               : -EBADMSG;
}
