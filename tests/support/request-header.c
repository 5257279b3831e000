/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "tests/support/request-header.h"

#define N_WORDS 4U

/* Cut @text at each @mark; false if that gives not just @n parts. */
static bool split(char *text, char mark, char **ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *end = strchr(text, mark);

        ret[i] = text;
        if ((end == NULL) != (i + 1 == n))
            return false;
        if (end) {
            *end = '\0';
            text = end + 1;
        }
    }
    return true;
}

static bool is_argument(char *text, const AdminRequest *request)
{
    char *port = strchr(text, '+'), *identity = NULL;
    char wanted[IDENTITY_SAFE_MAX + 1];

    if (request->method != ADMIN_AVAILABLE) {
        if (!port)
            return false;
        *port++ = '\0';
        if (strcmp(text, request->backend.s) != 0)
            return false;
    } else {
        port = text;
    }
    if (request->method == ADMIN_ATTACH && request->pinned) {
        identity = strchr(port, '+');
        if (!identity)
            return false;
        *identity++ = '\0';
        identity_encode(wanted, &request->identity);
    }
    return strcmp(port, request->port.s) == 0 &&
           (!identity || strcmp(identity, wanted) == 0);
}

bool request_header_is_true(const AdminRequest *request)
{
    char text[ADMIN_REQUEST_MAX], *words[N_WORDS], *argument;
    size_t len = admin_encode(text, request);

    if (len > sizeof(text) || !memchr(text, '\0', len) ||
        !split(text, ' ', words, N_WORDS))
        return false;
    argument = strchr(words[0], '+');
    if (!argument || strncmp(words[0], "admin.vm.device.", 16) != 0)
        return false;
    return strcmp(words[1], "dom0") == 0 && strcmp(words[2], "name") == 0 &&
           strcmp(words[3], request->dest.s) == 0 &&
           is_argument(argument + 1, request);
}
