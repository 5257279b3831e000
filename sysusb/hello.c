/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sysusb/hello.h"
#include "common/text.h"
#include "sysusb/io/boot.h"

int hello_make(WireHello *ret)
{
    WireHello hello = {};
    int r = boot_id_read(&hello.boot_id);

    if (r < 0)
        return r;
    (void) text_format(hello.agent, sizeof(hello.agent), "%s",
                       "qubes-autoattach/" AUTOATTACH_VERSION);
    *ret = hello;
    return 0;
}
