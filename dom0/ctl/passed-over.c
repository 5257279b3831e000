/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "common/sys/rules-files.h"
#include "dom0/ctl/passed-over.h"
#include "dom0/ctl/rule-book.h"
#include "dom0/wire/values.h"

#define SHOWN_MAX 3U /* on a screen */

/* In the order of their names, from @first on. */
static int insert(json_t *list, size_t first, const char *path, const char *why)
{
    json_t *entry =
        json_pack("{s:o, s:s}", "file", value_text(path), "reason", why);
    const char *name = member_text(entry, "file");
    size_t at = json_array_size(list);

    while (at > first &&
           strcmp(member_text(json_array_get(list, at - 1), "file"), name) > 0)
        at--;
    if (json_array_insert_new(list, at, entry) < 0)
        return -ENOMEM;
    if (json_array_size(list) - first > PASSED_OVER_MAX)
        (void) json_array_remove(list, json_array_size(list) - 1);
    return 0;
}

int passed_over_add(json_t *list, const char *folder)
{
    const size_t first = json_array_size(list);
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int r = 0;

    while (r == 0 && dir && (entry = readdir(dir))) {
        const char *why = rules_file_passed_over(entry->d_name);
        _cleanup_(freep) char *path = NULL;

        if (!why || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0)
            continue;
        path = rule_book_join(folder, entry->d_name);
        r = path ? insert(list, first, path, why) : -ENOMEM;
    }
    if (dir)
        (void) closedir(dir);
    return r;
}

int passed_over_look(json_t *rules)
{
    json_t *list;
    int r;

    if (member_flag(rules, "failed") || member_number(rules, "n_rules") > 0)
        return 0;
    list = json_array();
    r = list ? passed_over_add(list, member_text(rules, "directory")) : -ENOMEM;
    if (r == 0 && json_object_set(rules, "passed_over", list) < 0)
        r = -ENOMEM;
    json_decref(list);
    return r;
}

void passed_over_view(View *view, const json_t *list, size_t indent)
{
    size_t n = json_array_size(list);
    size_t n_shown = view->screen.has_end && n > SHOWN_MAX ? SHOWN_MAX : n;

    for (size_t i = 0; i < n_shown; i++) {
        const json_t *entry = json_array_get(list, i);
        ShowText file, reason;

        view_print(view, STYLE_PLAIN, indent, indent + VIEW_INDENT,
                   "%s is passed over: %s",
                   view_shown(view, &file, entry, "file"),
                   view_shown(view, &reason, entry, "reason"));
    }
    if (n > n_shown)
        view_print(view, STYLE_FAINT, indent, indent + VIEW_INDENT,
                   "and %zu more: qvm-autoattach check", n - n_shown);
}
