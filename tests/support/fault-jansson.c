/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * With -Wl,--wrap=json_loadb: jansson's parser does not survive a failed
 * allocation, see common/wire/json.c, so none fails in there.
 */

#include <jansson.h>

#include "tests/support/fault.h"

json_t *__real_json_loadb(const char *text,
                          size_t len,
                          size_t flags,
                          json_error_t *error);
json_t *__wrap_json_loadb(const char *text,
                          size_t len,
                          size_t flags,
                          json_error_t *error);

json_t *__wrap_json_loadb(const char *text,
                          size_t len,
                          size_t flags,
                          json_error_t *error)
{
    json_t *json;

    fault_hold(true);
    json = __real_json_loadb(text, len, flags, error);
    fault_hold(false);
    return json;
}
