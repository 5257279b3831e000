/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/sys/clock.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/qube-names.h"
#include "dom0/ctl/view.h"

/* what a person does not take for hanging */
#define AT_ONCE_USEC (1 * USEC_PER_SEC)

static int compare_names(const void *a, const void *b)
{
    const QubeName *name_a = a, *name_b = b;

    return strcmp(name_a->s, name_b->s);
}

QubeName *qube_names_of(const json_t *qubes, size_t *ret_n)
{
    QubeName *names = calloc(json_array_size(qubes) + 1, sizeof(*names));
    const json_t *qube;
    size_t index;

    *ret_n = 0;
    if (!names)
        return NULL;
    json_array_foreach(qubes, index, qube)
    {
        const char *name = member_text(qube, "name");

        if (qube_name_parse(&names[*ret_n], name, strlen(name)))
            ++*ret_n;
    }
    qsort(names, *ret_n, sizeof(*names), compare_names);
    return names;
}

QubeName *qube_names_ask(const char *path, size_t *ret_n)
{
    _cleanup_(json_decrefp) json_t *reply = NULL;
    ClientError error;

    *ret_n = 0;
    if (client_call(&reply, &error, path, "ListQubes", json_object()) < 0)
        return NULL;
    return qube_names_of(json_object_get(reply, "qubes"), ret_n);
}

json_t *qube_list_ask(const char *path)
{
    _cleanup_(json_decrefp) json_t *reply = NULL;
    _cleanup_(client_freep) Client *client = NULL;
    ClientError error;

    if (client_open(&client, &error, path) < 0 ||
        client_send(client, &error, "ListQubes", json_object(), false) < 0 ||
        client_receive(client, &error, &reply, NULL,
                       clock_monotonic_usec() + AT_ONCE_USEC) < 0)
        return NULL;
    return json_incref(json_object_get(reply, "qubes"));
}
