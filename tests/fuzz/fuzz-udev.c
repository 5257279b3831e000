/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * udev's words to a record. The input is lines: "NAME=value" is a property,
 * "name:value" sysfs; empty lines divide the device itself, its disk and its
 * USB device. Whatever comes out must be a line that dom0 accepts.
 */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/wire/record-wire.h"
#include "sysusb/core/export.h"
#include "sysusb/core/mounts.h"
#include "sysusb/core/udev-record.h"
#include "tests/support/udev-table.h"

#define LINES_MAX 64U
#define N_NODES   3U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
    char *text;
    const char *lines[N_NODES][LINES_MAX + 1];
} Input;

static void split(Input *input)
{
    size_t node = 0, n_lines = 0;
    char *at = input->text;

    while (*at && node < N_NODES) {
        char *line = at;

        at += strcspn(at, "\n");
        if (*at)
            *at++ = '\0';
        if (*line == '\0') {
            node++;
            n_lines = 0;
        } else if (n_lines < LINES_MAX) {
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

static void check(const Record *record)
{
    _cleanup_(freep) char *line = NULL;
    WireMessage message;
    size_t len;

    assert(wire_encode_event(&line, &len, 1, record) == 0);
    assert(wire_decode(&message, line, len - 1, NULL) == STATUS_INVALID);
    assert(record_equal(&message.record, record));
}

static void fuzz_mounts(const char *text)
{
    BlockNumber number = { .name = "sda1" };

    if (block_number_parse(&number, text))
        assert(!mounts_have("", &number));
    number = (BlockNumber){ 8, 1, "sda1" };
    (void) mounts_have(text, &number);
    (void) swaps_have(text, &number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = { .text = strndup((const char *) data, size) };
    const char **self = input.lines[0];
    UdevNode nodes[N_NODES];
    UdevView view = { .self = &nodes[0] };
    Record record;

    if (!input.text)
        return 0;
    fuzz_mounts(input.text);
    split(&input);

    nodes[0] = table_node(value_or(self, "SUBSYSTEM", "block"),
                          value_or(self, "SYSNAME", "sda1"), self);
    nodes[1] = table_node("block", value_or(input.lines[1], "SYSNAME", "sda"),
                          input.lines[1]);
    nodes[2] = table_node("usb", value_or(input.lines[2], "SYSNAME", "2-1"),
                          input.lines[2]);
    if (input.lines[1][0])
        view.disk = &nodes[1];
    if (input.lines[2][0])
        view.usb = &nodes[2];

    if (udev_record_build(&record, &view))
        check(&record);
    else
        assert(export_presence(export_decide(&view, false)) == PRESENCE_NONE);

    free(input.text);
    return 0;
}
