/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "dom0/ctl/outcome-text.h"
#include "common/status.h"
#include "common/text.h"

/* Where a rule or a target is needed to make sense of it, "%r" and "%t" stand
 * for them. Of several texts of a status the first counts of which all is
 * known; where there is none it has the sentence of the common table. */
typedef struct Reason {
    Status status;
    const char *text;
} Reason;

static const Reason reasons[] = {
    { STATUS_ATTACHED, "attached to %t by rule %r" },
    { STATUS_ALREADY_ATTACHED,
      "already attached to %t, where rule %r wants it" },
    { STATUS_DETACHED, "detached from %t" },
    { STATUS_DENIED_BY_RULE, "rule %r denies it" },
    { STATUS_DENIED_BY_POLICY,
      "rule %r takes it, but the Qubes policy does not allow %t; to see why: "
      "qvm-autoattach explain" },
    { STATUS_DENIED_BY_POLICY,
      "rule %r takes it, but the Qubes policy allows none of its targets; to "
      "see why: qvm-autoattach explain" },
    { STATUS_DENIED_BY_USER,
      "rule %r asked, you said no; replug it to be asked again, "
      "or: qvm-autoattach retry" },
    { STATUS_APPROVAL_TIMEOUT,
      "rule %r asked, nobody answered in time; replug it to be asked "
      "again, or: qvm-autoattach retry" },
    { STATUS_TARGET_NOT_RUNNING,
      "%t is not running, and rule %r does not start it" },
    { STATUS_WAITING_FOR_TARGET,
      "rule %r attaches it to %t as soon as that runs" },
    { STATUS_PAUSED, "rule %r takes it, but attaching is paused" },
    { STATUS_ATTACHED_ELSEWHERE,
      "rule %r takes it, but another qube has it, or another part of the same "
      "device" },
    { STATUS_QUIET,
      "rule %r would ask, but prompts for devices of this qube are silenced; "
      "to be asked all the same: qvm-autoattach retry" },
    { STATUS_START_FAILED, "rule %r takes it, but %t did not start" },
    { STATUS_ATTACH_FAILED,
      "rule %r takes it, but it could not be attached to %t, after all tries" },
};

/* Whether all that the text speaks of is known. */
static bool is_complete(const char *text, bool has_rule, bool has_target)
{
    for (; *text; text++)
        if (text[0] == '%' && !(text[1] == 'r' ? has_rule : has_target))
            return false;
    return true;
}

static const char *find_reason(uint64_t code, bool has_rule, bool has_target)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if ((uint64_t) reasons[i].status == code &&
            is_complete(reasons[i].text, has_rule, has_target))
            return reasons[i].text;
    return NULL;
}

/* The common sentence, with rule and target behind it. */
static void plain_reason(const View *view,
                         char *ret,
                         size_t size,
                         const json_t *outcome)
{
    ShowText sentence, rule, target;
    size_t len;

    view_shown(view, &sentence, outcome, "sentence");
    view_shown(view, &rule, outcome, "rule");
    view_shown(view, &target, outcome, "target");
    len = text_format(ret, size, "%s", sentence.s);
    if (target.s[0] && rule.s[0])
        (void) text_format(ret + len, size - len, " (rule %s, target %s)",
                           rule.s, target.s);
    else if (rule.s[0] || target.s[0])
        (void) text_format(ret + len, size - len, " (%s %s)",
                           rule.s[0] ? "rule" : "target",
                           rule.s[0] ? rule.s : target.s);
}

void outcome_reason(const View *view,
                    char *ret,
                    size_t size,
                    const json_t *outcome)
{
    ShowText rule, target;
    const char *text;
    size_t len = 0;

    view_shown(view, &rule, outcome, "rule");
    view_shown(view, &target, outcome, "target");
    text = find_reason(member_number(outcome, "code"), rule.s[0] != '\0',
                       target.s[0] != '\0');
    if (!text) {
        plain_reason(view, ret, size, outcome);
        return;
    }
    ret[0] = '\0';
    for (; *text; text++) {
        if (*text != '%') {
            len += text_format(ret + len, size - len, "%c", *text);
            continue;
        }
        text++;
        len += text_format(ret + len, size - len, "%s",
                           *text == 'r' ? rule.s : target.s);
    }
}

void outcome_text(const View *view,
                  char *ret,
                  size_t size,
                  const json_t *outcome)
{
    const char *untrusted_label = member_text(outcome, "label");
    ShowText label = {};
    Cell device;
    size_t len;

    if (untrusted_label[0])
        show_quoted_escaped(&label, untrusted_label, view->utf8);
    len =
        text_format(ret, size, "%s%s%s: ", view_device(view, &device, outcome),
                    label.s[0] ? " " : "", label.s);
    outcome_reason(view, ret + len, size - len, outcome);
}

Style outcome_style(const json_t *outcome)
{
    uint64_t hundreds = member_number(outcome, "code") / 100;

    if (hundreds == 2)
        return STYLE_PLAIN;
    return hundreds == 5 ? STYLE_BAD : STYLE_WARNING;
}
