/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/udev-input.h"
#include "tests/support/udev-table.h"

static void split(UdevInput *input)
{
    size_t node = 0, n_lines = 0;
    char *at = input->text;

    while (*at && node < UDEV_INPUT_NODES) {
        char *line = at;

        at += strcspn(at, "\n");
        if (*at)
            *at++ = '\0';
        if (*line == '\0') {
            node++;
            n_lines = 0;
        } else if (n_lines < UDEV_INPUT_LINES_MAX) {
            input->lines[node][n_lines++] = line;
        }
    }
}

static const char *value_or(const char **lines,
                            const char *name,
                            const char *other)
{
    const char *value = table_property(lines, name);

    return value ? value : other;
}

static bool is(const char *text, const char *wanted)
{
    return text && strcmp(text, wanted) == 0;
}

static UdevUse use_of(const char *word)
{
    return is(word, "mounted") ? UDEV_USE_MOUNTED
           : is(word, "swap")  ? UDEV_USE_SWAP
           : is(word, "held")  ? UDEV_USE_HELD
                               : UDEV_USE_NONE;
}

/* "1201..."; up to what is none */
static size_t read_hex(uint8_t *ret, const char *text)
{
    size_t len = strspn(text, "0123456789abcdef") / 2;

    for (size_t i = 0; i < len; i++) {
        unsigned int byte = 0;

        /* sscanf() would look for the end each time */
        char digits[] = { text[2 * i], text[2 * i + 1], '\0' };

        (void) sscanf(digits, "%x", &byte);
        ret[i] = (uint8_t) byte;
    }
    return len;
}

/* What has none in the input has none in sysfs. */
static void add_descriptors(UdevView *view, uint8_t *bytes)
{
    const UdevNode *usb =
        is(view->self->subsystem, "usb") ? view->self : view->usb;
    const char *hex = usb ? udev_node_attribute(usb, "descriptors") : NULL;

    if (!hex)
        return;
    view->descriptors = bytes;
    view->descriptors_len = read_hex(bytes, hex);
}

void udev_input_read(UdevInput *ret, const char *data, size_t size)
{
    UdevNode *nodes = ret->nodes;
    const char **self = ret->lines[0], **disk = ret->lines[1],
               **usb = ret->lines[2];

    *ret = (UdevInput){ .text = strndup(data, size),
                        .descriptors = malloc(size / 2 + 1),
                        .view = { .self = &nodes[0] } };
    assert(ret->text && ret->descriptors);
    split(ret);

    nodes[0] = table_node(value_or(self, "SUBSYSTEM", "block"),
                          value_or(self, "SYSNAME", "sda1"), self);
    nodes[0].devpath = value_or(self, "DEVPATH", nodes[0].devpath);
    nodes[1] = table_node("block", value_or(disk, "SYSNAME", "sda"), disk);
    nodes[2] = table_node("usb", value_or(usb, "SYSNAME", "2-1"), usb);
    ret->view.use = use_of(table_attribute(self, "use"));
    ret->view.loop_hidden = table_attribute(self, "hidden") != NULL;
    if (disk[0])
        ret->view.disk = &nodes[1];
    if (usb[0])
        ret->view.usb = &nodes[2];
    add_descriptors(&ret->view, ret->descriptors);
}

void udev_input_clear(UdevInput *input)
{
    free(input->text);
    free(input->descriptors);
}
