/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/ctl/client.h"
#include "dom0/ctl/qube-names.h"
#include "dom0/ctl/view.h"

static int compare_names(const void *a, const void *b)
{
    const QubeName *name_a = a, *name_b = b;

    return strcmp(name_a->s, name_b->s);
}

QubeName *qube_names_ask(const char *path, size_t *ret_n)
{
    _cleanup_(json_decrefp) json_t *reply = NULL;
    json_t *list, *qube;
    ClientError error;
    QubeName *names;
    size_t index;

    *ret_n = 0;
    if (client_call(&reply, &error, path, "ListQubes", json_object()) < 0)
        return NULL;
    list = json_object_get(reply, "qubes");
    names = calloc(json_array_size(list) + 1, sizeof(*names));
    if (!names)
        return NULL;

    json_array_foreach(list, index, qube)
    {
        const char *name = member_text(qube, "name");

        if (qube_name_parse(&names[*ret_n], name, strlen(name)))
            ++*ret_n;
    }
    qsort(names, *ret_n, sizeof(*names), compare_names);
    return names;
}
