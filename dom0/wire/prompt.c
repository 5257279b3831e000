/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "common/wire/json-text.h"
#include "common/wire/json.h"
#include "dom0/wire/prompt.h"

#define SERVICE       "autoattach.Attach"
#define ASK_HEADER    "policy.Ask dom0 name dom0"
#define NOTIFY_HEADER "policy.Notify dom0 name dom0"
#define ALLOW         "allow:"
/* "+", a rule's name, "+", a device's name */
#define ARGUMENT_MAX (RULE_NAME_MAX + DEVICE_NAME_MAX + 2U)

static char *encode_argument(char ret[ARGUMENT_MAX + 1],
                             const RuleName *rule,
                             const DeviceName *device)
{
    (void) text_format(ret, ARGUMENT_MAX + 1, "+%s%s%s", rule->s,
                       device->s[0] ? "+" : "", device->s);
    return ret;
}

/* HEADER \0 JSON; takes over @json, which may be NULL. */
static int encode(char **ret, size_t *ret_len, const char *header, json_t *json)
{
    _cleanup_(freep) char *text = NULL;
    size_t len, header_len = strlen(header) + 1;
    char *request;
    int r;

    r = json_to_line(&text, &len, json);
    if (r < 0)
        return r;
    request = malloc(header_len + len);
    if (!request)
        return -ENOMEM;

    memcpy(request, header, header_len);
    memcpy(request + header_len, text, len);
    *ret = request;
    *ret_len = header_len + len;
    return 0;
}

/* Without memory the keys that are missing make the encoder fail. */
static json_t *encode_targets(const Prompt *prompt, json_t *icons)
{
    json_t *targets = json_array();

    for (size_t i = 0; i < prompt->n_targets; i++) {
        char name[TARGET_STRING_MAX + 1];

        (void) target_to_string(&prompt->targets[i], name);
        if (json_array_append_new(targets, json_string(name)) < 0 ||
            json_object_set_new(icons, name, json_string(prompt->icons[i].s)) <
                0) {
            json_decref(targets);
            return NULL;
        }
    }
    return targets;
}

int prompt_encode(char **ret, size_t *ret_len, const Prompt *prompt)
{
    _cleanup_(json_decrefp) json_t *icons = json_object();
    _cleanup_(json_decrefp) json_t *targets = NULL;
    char argument[ARGUMENT_MAX + 1], preselected[TARGET_STRING_MAX + 1];

    if (json_object_set_new(icons, prompt->source.s,
                            json_string(prompt->source_icon.s)) < 0)
        return -ENOMEM;
    targets = encode_targets(prompt, icons);
    if (!targets)
        return -ENOMEM;

    return encode(
        ret, ret_len, ASK_HEADER,
        json_pack("{s:s, s:s, s:s, s:O, s:s, s:O}", "source", prompt->source.s,
                  "service", SERVICE, "argument",
                  encode_argument(argument, &prompt->rule, &prompt->device),
                  "targets", targets, "default_target",
                  target_to_string(&prompt->targets[prompt->preselected],
                                   preselected),
                  "icons", icons));
}

int notification_encode(char **ret,
                        size_t *ret_len,
                        const Notification *notification)
{
    char argument[ARGUMENT_MAX + 1];
    JsonText json = {};

    json_text_raw(&json, NOTIFY_HEADER, sizeof(NOTIFY_HEADER)); /* with NUL */
    json_text_open(&json, NULL, '{');
    json_text_string(&json, "resolution",
                     notification->failed ? "fail" : "allow");
    json_text_string(&json, "service", SERVICE);
    json_text_string(&json, "argument",
                     encode_argument(argument, &notification->rule,
                                     &notification->device));
    json_text_string(&json, "source", notification->source.s);
    json_text_string(&json, "target", notification->target);
    json_text_close(&json, '}');
    json_text_newline(&json);
    return json_text_end(&json, ret, ret_len);
}

PromptAnswer prompt_decode(const Prompt *prompt,
                           const char *untrusted_data,
                           size_t untrusted_len)
{
    const size_t allow_len = strlen(ALLOW);

    if (untrusted_len == 0)
        return (PromptAnswer){ .result = PROMPT_DIED };
    if (untrusted_len <= allow_len ||
        memcmp(untrusted_data, ALLOW, allow_len) != 0)
        return (PromptAnswer){ .result = PROMPT_NO };

    for (size_t i = 0; i < prompt->n_targets; i++) {
        char name[TARGET_STRING_MAX + 1];

        (void) target_to_string(&prompt->targets[i], name);
        if (strlen(name) == untrusted_len - allow_len &&
            memcmp(name, untrusted_data + allow_len, strlen(name)) == 0)
            return (PromptAnswer){ .result = PROMPT_YES, .target = i };
    }
    return (PromptAnswer){ .result = PROMPT_NO };
}
