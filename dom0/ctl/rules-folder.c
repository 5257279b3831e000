/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdlib.h>
#include <string.h>

#include "common/sys/rules-files.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/rules-folder.h"
#include "dom0/ctl/view.h"

/* Tell the daemon's folder: 1; 0 if it cannot be reached; a negative errno if
 * it may well be there, see is_lack(). */
static int ask_daemon(RulesFolder *ret, const Arguments *arguments)
{
    _cleanup_(json_decrefp) json_t *status = NULL;
    const char *directory;
    const json_t *rules;
    ClientError error;
    int r = client_call(&status, &error, client_path(arguments), "GetStatus",
                        json_object());

    if (r < 0)
        return is_lack(-r) ? r : 0;
    rules = json_object_get(status, "rules");
    directory = member_text(rules, "directory");
    if (directory[0] == '\0' || strlen(directory) > RULES_FOLDER_MAX)
        return 0;
    (void) text_format(ret->path, sizeof(ret->path), "%s", directory);
    ret->is_daemons = true;
    ret->owner = (uid_t) member_number(rules, "owner");
    return 1;
}

int rules_folder_find(RulesFolder *ret, const Arguments *arguments)
{
    const char *given = arguments->values[OPTION_RULES_DIR];
    int r;

    *ret = (RulesFolder){ .is_given = given,
                          .owner = given ? RULES_OWNER_ANY : 0 };
    r = given ? 0 : ask_daemon(ret, arguments);
    if (r != 0)
        return r < 0 ? r : 0;
    (void) text_format(ret->path, sizeof(ret->path), "%s",
                       given ? given : CTL_RULES_DEFAULT);
    return 0;
}

bool rules_folder_is(const RulesFolder *folder, const char *path)
{
    _cleanup_(freep) char *real_folder = realpath(folder->path, NULL);
    _cleanup_(freep) char *real_path = realpath(path, NULL);

    return real_folder && real_path && strcmp(real_folder, real_path) == 0;
}

uid_t rules_folder_owner_at(const RulesFolder *folder, const char *path)
{
    char parent[RULES_FOLDER_MAX + 1];
    const char *slash = strrchr(path, '/');

    (void) text_format(parent, sizeof(parent), "%.*s",
                       slash ? (int) (slash - path) + 1 : 1,
                       slash ? path : ".");
    return rules_folder_is(folder, path) || rules_folder_is(folder, parent)
               ? folder->owner
               : RULES_OWNER_ANY;
}
