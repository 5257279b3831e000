/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/rules-folder.h"
#include "dom0/ctl/view.h"

/* Tell the daemon's folder; false if it cannot be asked. */
static bool ask_daemon(RulesFolder *ret, const Arguments *arguments)
{
    _cleanup_(json_decrefp) json_t *status = NULL;
    const char *directory;
    ClientError error;

    if (client_call(&status, &error, client_path(arguments), "GetStatus",
                    json_object()) < 0)
        return false;
    directory = member_text(json_object_get(status, "rules"), "directory");
    if (directory[0] == '\0' || strlen(directory) > RULES_FOLDER_MAX)
        return false;
    (void) text_format(ret->path, sizeof(ret->path), "%s", directory);
    ret->is_daemons = true;
    return true;
}

void rules_folder_find(RulesFolder *ret, const Arguments *arguments)
{
    const char *given = arguments->values[OPTION_RULES_DIR];

    *ret = (RulesFolder){};
    if (!given && ask_daemon(ret, arguments))
        return;
    (void) text_format(ret->path, sizeof(ret->path), "%s",
                       given ? given : CTL_RULES_DEFAULT);
}
