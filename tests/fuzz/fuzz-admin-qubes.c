/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Answers to admin.vm.List: what is of their form (WIRE 1) is taken, and
 * nothing else. What is taken from it is what its lines say, in order, and each
 * qube is found by its name. Said in our own words, it is taken as the same
 * list.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dom0/wire/admin-qubes.h"
#include "tests/fuzz/taken.h"
#include "tests/support/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_qube(const QubeList *list, size_t i)
{
    const QubeInfo *qube = &list->qubes[i], *found;
    size_t len = strnlen(qube->class, sizeof(qube->class));
    QubeName again;

    assert(qube_name_parse(&again, qube->name.s, strlen(qube->name.s)));
    assert(len <= QUBE_CLASS_MAX);
    assert(qube->power <= POWER_CRASHED);
    assert(i == 0 || strcmp(list->qubes[i - 1].name.s, qube->name.s) <= 0);
    found = qube_list_find(list, &qube->name);
    assert(found && qube_name_equal(&found->name, &qube->name));
}

static PowerState state_of(Bytes word)
{
    static const char *const words[] = {
        [POWER_HALTED] = "Halted",       [POWER_TRANSIENT] = "Transient",
        [POWER_RUNNING] = "Running",     [POWER_PAUSED] = "Paused",
        [POWER_SUSPENDED] = "Suspended", [POWER_HALTING] = "Halting",
        [POWER_DYING] = "Dying",         [POWER_CRASHED] = "Crashed",
    };

    for (size_t i = 1; i < ARRAY_SIZE(words); i++)
        if (bytes_are(word, words[i]))
            return (PowerState) i;
    return POWER_UNKNOWN;
}

/* NAME, and words, of which class= and state= come once at most. */
static bool read_line(QubeInfo *ret, Bytes line)
{
    Bytes name = bytes_before(line, ' ', &line), class = {};
    size_t n_classes = 0, n_states = 0;

    *ret = (QubeInfo){};
    if (!name_is_qube(name))
        return false;
    memcpy(ret->name.s, name.start, name.len);
    while (line.len > 0) {
        Bytes word = bytes_before(line, ' ', &line);

        if (bytes_begin(word, "class=")) {
            class = bytes_behind(word, strlen("class="));
            n_classes++;
        }
        if (bytes_begin(word, "state=")) {
            ret->power = state_of(bytes_behind(word, strlen("state=")));
            n_states++;
        }
    }
    if (n_classes > 1 || n_states > 1 || class.len > QUBE_CLASS_MAX ||
        (n_classes == 1 && class.len == 0) || !bytes_are_all_of(class, LETTERS))
        return false;
    if (class.len > 0)
        memcpy(ret->class, class.start, class.len);
    return true;
}

/* Lines behind "0\0", each with its end. */
static bool is_list(Bytes data)
{
    size_t n = 0;

    if (data.len < 2 || memcmp(data.start, "0\0", 2) != 0 ||
        (data.len > 2 && data.start[data.len - 1] != '\n'))
        return false;
    data = bytes_behind(data, 2);
    for (; data.len > 0; n++) {
        QubeInfo qube;

        if (!read_line(&qube, bytes_before(data, '\n', &data)))
            return false;
    }
    return n <= QUBE_LIST_MAX;
}

static bool has(const QubeList *list, const QubeInfo *qube)
{
    for (size_t i = 0; i < list->n_qubes; i++)
        if (qube_name_equal(&list->qubes[i].name, &qube->name) &&
            strcmp(list->qubes[i].class, qube->class) == 0 &&
            list->qubes[i].power == qube->power)
            return true;
    return false;
}

/* Each line is a qube of the list, and there are no others. */
static void check_meaning(const QubeList *list, Bytes data)
{
    size_t n = 0;

    data = bytes_behind(data, 2);
    for (; data.len > 0; n++) {
        QubeInfo qube;

        assert(read_line(&qube, bytes_before(data, '\n', &data)));
        assert(has(list, &qube));
    }
    assert(n == list->n_qubes);
}

#define SAID_MAX (QUBE_NAME_MAX + QUBE_CLASS_MAX + 64U)

/* In the form of qubesd. */
static char *say(const QubeList *list, size_t *ret_len)
{
    size_t size = 2 + list->n_qubes * SAID_MAX, len = 2;
    char *text = malloc(size);

    assert(text);
    memcpy(text, "0", 2);
    for (size_t i = 0; i < list->n_qubes; i++) {
        const QubeInfo *qube = &list->qubes[i];
        int n = snprintf(text + len, size - len, "%s%s%s%s%s\n", qube->name.s,
                         qube->class[0] ? " class=" : "", qube->class,
                         qube->power != POWER_UNKNOWN ? " state=" : "",
                         qube->power != POWER_UNKNOWN
                             ? power_state_to_string(qube->power)
                             : "");

        assert(n > 0 && (size_t) n < size - len);
        len += (size_t) n;
    }
    *ret_len = len;
    return text;
}

static bool has_name_of(const QubeList *list, size_t i, size_t j)
{
    return j < list->n_qubes &&
           qube_name_equal(&list->qubes[i].name, &list->qubes[j].name);
}

static void check_again(const QubeList *list)
{
    _cleanup_(qube_list_freep) QubeList *again = NULL;
    _cleanup_(freep) char *text = NULL;
    size_t len;
    int r;

    text = say(list, &len);
    r = admin_decode_qubes(&again, text, len);
    assert(r == 0 && again->n_qubes == list->n_qubes);
    for (size_t i = 0; i < list->n_qubes; i++) {
        const QubeInfo *a = &list->qubes[i], *b = &again->qubes[i];

        assert(qube_name_equal(&a->name, &b->name));
        /* of several of one name either may be first */
        if (!has_name_of(list, i, i + 1) && !has_name_of(list, i, i - 1))
            assert(strcmp(a->class, b->class) == 0 && a->power == b->power);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(qube_list_freep) QubeList *list = NULL;
    const Bytes bytes = { (const char *) data, size };
    int r = admin_decode_qubes(&list, bytes.start, bytes.len);

    fuzz_set_taken(r == 0);
    assert(r == (is_list(bytes) ? 0 : -EBADMSG));
    if (r < 0) {
        assert(!list);
        return 0;
    }
    assert(list->n_qubes <= QUBE_LIST_MAX && list->n_qubes <= size);
    for (size_t i = 0; i < list->n_qubes; i++)
        check_qube(list, i);
    check_meaning(list, bytes);
    check_again(list);
    return 0;
}
