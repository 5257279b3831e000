/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * udev's words to a record, and to whether it is offered; what the input is
 * says udev-input.h
 *
 * The record says what udev said, each property what its own name said if that
 * is of its form (DESIGN 3), and is a line that dom0 accepts. What Qubes
 * excludes is not offered, nor a USB device or what is in one whose interfaces
 * are not known, one and all. Nothing else is left out.
 */

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/record-wire.h"
#include "sysusb/core/export.h"
#include "sysusb/core/udev-record.h"
#include "tests/fuzz/taken.h"
#include "tests/support/json-input.h"
#include "tests/support/record-form.h"
#include "tests/support/udev-input.h"

/* longer values of udev are not looked at */
#define VALUE_MAX (RECORD_LONG_MAX * 4U)
/* of an interface: "ccsspp" */
#define CODE_LEN       6U
#define INTERFACES_MAX 32U

/* linux/usb/ch9.h, and what sysfs cuts */
#define DEVICE_SIZE     18U
#define INTERFACE_TYPE  4U
#define INTERFACE_SIZE  9U
#define DESCRIPTORS_CUT (18U + 65535U)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is(const char *text, const char *wanted)
{
    return text && strcmp(text, wanted) == 0;
}

/* the record */

/* Undo "\xNN"; false for another backslash. */
static bool unescape(char *text, size_t *len)
{
    size_t n = 0;

    for (size_t i = 0; i < *len; i++) {
        unsigned int byte = (unsigned char) text[i];

        if (text[i] == '\\') {
            if (text[i + 1] != 'x' || strspn(text + i + 2, "0123456789"
                                                           "abcdef"
                                                           "ABCDEF") < 2)
                return false;
            (void) sscanf(text + i + 2, "%2x", &byte);
            i += 3;
        }
        text[n++] = (char) byte;
    }
    *len = n;
    return true;
}

/* What is of the key's form is taken, and nothing else changes anything. */
static void set_text(Properties *wanted, PropertyKey key, Bytes text)
{
    Properties before;

    memcpy(&before, wanted, sizeof(before));
    if (form_is_text(key, text)) {
        assert(properties_set_text(wanted, key, text.start, text.len));
        return;
    }
    assert(!properties_set_text(wanted, key, text.start, text.len));
    assert(memcmp(&before, wanted, sizeof(before)) == 0);
}

static void set_number(Properties *wanted, PropertyKey key, int64_t number)
{
    Properties before;

    memcpy(&before, wanted, sizeof(before));
    if (form_is_number(key, number)) {
        assert(properties_set_number(wanted, key, number));
        return;
    }
    assert(!properties_set_number(wanted, key, number));
    assert(memcmp(&before, wanted, sizeof(before)) == 0);
}

static bool add_interface(Properties *wanted, Bytes code)
{
    Properties before;

    memcpy(&before, wanted, sizeof(before));
    if (form_is_interface(code) && wanted->n_interfaces < INTERFACES_MAX) {
        assert(properties_add_interface(wanted, code.start, code.len));
        return true;
    }
    assert(!properties_add_interface(wanted, code.start, code.len));
    assert(memcmp(&before, wanted, sizeof(before)) == 0);
    return false;
}

/* The key as @name of @node says it; false if it is not there. */
static bool want_text(Properties *wanted,
                      PropertyKey key,
                      const UdevNode *node,
                      const char *name)
{
    const char *value = udev_node_property(node, name);
    char text[VALUE_MAX + 1] = "", *start = text;
    size_t len = value ? strlen(value) : 0;
    bool encoded = strstr(name, "_ENC") || strstr(name, "_PART_ENTRY_");

    if (len == 0)
        return false;
    if (len > VALUE_MAX)
        return true;
    memcpy(text, value, len);
    if (encoded && !unescape(text, &len))
        return true;
    for (; len > 0 && *start == ' '; len--)
        start++;
    while (len > 0 && start[len - 1] == ' ')
        len--;
    set_text(wanted, key, (Bytes){ start, len });
    return true;
}

/* What is digits and a number of 64 bits. */
static bool is_number(int64_t *ret, const char *text)
{
    if (!text || !text[0] || text[strspn(text, "0123456789")] != '\0')
        return false;
    errno = 0;
    *ret = strtoll(text, NULL, 10);
    return errno == 0;
}

static void want_number(Properties *wanted,
                        PropertyKey key,
                        const char *text,
                        int64_t unit)
{
    int64_t n;

    if (is_number(&n, text) && n <= INT64_MAX / unit)
        set_number(wanted, key, n * unit);
}

static void want_bool(Properties *wanted, PropertyKey key, const char *text)
{
    int64_t n;

    if (is_number(&n, text) && n <= 1)
        properties_set_bool(wanted, key, n == 1);
}

static void want_usb(Properties *wanted, const UdevNode *usb)
{
    (void) want_text(wanted, PROPERTY_VENDOR_ID, usb, "ID_VENDOR_ID");
    (void) want_text(wanted, PROPERTY_PRODUCT_ID, usb, "ID_MODEL_ID");
    (void) want_text(wanted, PROPERTY_REVISION, usb, "ID_REVISION");
    (void) want_text(wanted, PROPERTY_SERIAL, usb, "ID_SERIAL_SHORT");
    (void) want_text(wanted, PROPERTY_VENDOR, usb, "ID_VENDOR_ENC");
    (void) want_text(wanted, PROPERTY_MODEL, usb, "ID_MODEL_ENC");
    (void) want_text(wanted, PROPERTY_PATH, usb, "ID_PATH");
}

static void want_block(Properties *wanted, const UdevView *view)
{
    const UdevNode *self = view->self, *disk = view->disk ? view->disk : self;

    (void) want_text(wanted, PROPERTY_FS_TYPE, self, "ID_FS_TYPE");
    if (!want_text(wanted, PROPERTY_FS_UUID, self, "ID_FS_UUID_ENC"))
        (void) want_text(wanted, PROPERTY_FS_UUID, self, "ID_FS_UUID");
    if (!want_text(wanted, PROPERTY_FS_LABEL, self, "ID_FS_LABEL_ENC"))
        (void) want_text(wanted, PROPERTY_FS_LABEL, self, "ID_FS_LABEL");
    (void) want_text(wanted, PROPERTY_PART_TABLE, self, "ID_PART_TABLE_TYPE");
    (void) want_text(wanted, PROPERTY_PART_UUID, self, "ID_PART_ENTRY_UUID");
    (void) want_text(wanted, PROPERTY_PART_LABEL, self, "ID_PART_ENTRY_NAME");
    want_number(wanted, PROPERTY_SIZE, udev_node_attribute(self, "size"), 512);
    want_number(wanted, PROPERTY_PARTITION, udev_node_property(self, "PARTN"),
                1);
    want_number(wanted, PROPERTY_DISKSEQ, udev_node_property(disk, "DISKSEQ"),
                1);
    want_number(wanted, PROPERTY_DISKSEQ, udev_node_property(self, "DISKSEQ"),
                1);
    want_bool(wanted, PROPERTY_REMOVABLE,
              udev_node_attribute(disk, "removable"));
    want_bool(wanted, PROPERTY_READ_ONLY, udev_node_attribute(self, "ro"));
}

/* Adds it, once; false if it is malformed or there is no room. */
static bool want_interface(Properties *wanted, const char *code)
{
    for (size_t i = 0; i < wanted->n_interfaces; i++)
        if (strncmp(wanted->interfaces[i].s, code, CODE_LEN) == 0)
            return true;
    return add_interface(wanted, (Bytes){ code, CODE_LEN });
}

/* ":ccsspp:ccsspp:" */
static bool want_list(Properties *wanted, const char *list)
{
    bool good = strlen(list) % (CODE_LEN + 1) == 1;

    for (; good && list[1]; list += CODE_LEN + 1)
        good = list[0] == ':' && want_interface(wanted, list + 1);
    return good && list[0] == ':';
}

/* A chain of descriptors behind that of the device. */
static bool want_chain(Properties *wanted, const uint8_t *bytes, size_t len)
{
    bool good = len >= DEVICE_SIZE && len < DESCRIPTORS_CUT;

    for (size_t at = DEVICE_SIZE; good && at < len; at += bytes[at]) {
        char code[CODE_LEN + 1];

        good = len - at >= bytes[at] && bytes[at] >= 2;
        if (!good || bytes[at + 1] != INTERFACE_TYPE)
            continue;
        (void) snprintf(code, sizeof(code), "%02x%02x%02x", bytes[at + 5],
                        bytes[at + 6], bytes[at + 7]);
        good = bytes[at] >= INTERFACE_SIZE && want_interface(wanted, code);
    }
    return good;
}

/* Whether they are known, one and all; else none is wanted. */
static bool want_interfaces(Properties *wanted, const UdevView *view)
{
    const UdevNode *usb =
        is(view->self->subsystem, "usb") ? view->self : view->usb;
    const char *list =
        usb ? udev_node_property(usb, "ID_USB_INTERFACES") : NULL;
    Properties all = *wanted;

    if (!usb)
        return true;
    if ((list && !want_list(&all, list)) ||
        (view->descriptors &&
         !want_chain(&all, view->descriptors, view->descriptors_len)) ||
        all.n_interfaces == 0)
        return false;
    *wanted = all;
    return true;
}

static void check_meaning(const Record *record, const UdevView *view)
{
    bool is_usb = is(view->self->subsystem, "usb");
    const UdevNode *usb = is_usb ? view->self : view->usb;
    const UdevNode *parent = view->disk ? view->disk : view->usb;
    Properties wanted = {};

    assert(record->action == RECORD_PRESENT);
    assert(is(view->self->subsystem, device_class_to_string(record->class)));
    assert(is(view->self->sysname, record->device.s));
    if (record->parent_class != DEVICE_CLASS_INVALID)
        assert(!is_usb && is(parent->sysname, record->parent.s) &&
               is(parent->subsystem,
                  device_class_to_string(record->parent_class)));

    (void) want_text(&wanted, PROPERTY_DEVTYPE, view->self, "DEVTYPE");
    (void) want_interfaces(&wanted, view);
    if (!is_usb)
        want_block(&wanted, view);
    if (usb)
        want_usb(&wanted, usb);
    else
        (void) want_text(&wanted, PROPERTY_PATH, view->self, "ID_PATH");
    assert(properties_equal(&wanted, &record->properties));
}

static void check_line(const Record *record)
{
    _cleanup_(freep) char *line = NULL;
    _cleanup_(json_decrefp) json_t *json = NULL;
    WireMessage message;
    size_t len;

    assert(wire_encode_event(&line, &len, 1, record) == 0);
    json = json_input(line, len);
    assert(form_of_line(json) == STATUS_INVALID && form_says(json, record));
    assert(wire_decode(&message, line, len - 1, NULL) == STATUS_INVALID);
    assert(record_equal(&message.record, record));
}

/* whether it is offered */

static bool says(const UdevNode *node, const char *name, const char *value)
{
    return is(udev_node_property(node, name), value);
}

static bool begins(const char *text, const char *start)
{
    return text && strncmp(text, start, strlen(start)) == 0;
}

/* What Qubes' udev rules and scripts leave out (WIRE 5). */
static bool is_excluded_block(const UdevView *view)
{
    const UdevNode *self = view->self;
    const char *dm_name = udev_node_property(self, "DM_NAME");
    const char *size = udev_node_attribute(self, "size");
    DeviceName name;

    return !device_name_parse(&name, DEVICE_CLASS_BLOCK, self->sysname,
                              strlen(self->sysname)) ||
           (says(self, "UDISKS_IGNORE", "1") && !says(self, "MAJOR", "7")) ||
           says(self, "QUBES_EXPORT_BLOCK_DEVICE", "0") ||
           says(self, "MAJOR", "202") || begins(self->sysname, "zram") ||
           (says(self, "DM_UDEV_DISABLE_DISK_RULES_FLAG", "1") &&
            !says(self, "QUBES_EXPORT_BLOCK_DEVICE", "1")) ||
           (begins(self->sysname, "dm-") &&
            (!dm_name || is(dm_name, "") || begins(dm_name, "snapshot-") ||
             begins(dm_name, "origin-"))) ||
           (says(self, "MAJOR", "7") &&
            (!udev_node_attribute(self, "loop/backing_file"))) ||
           (says(self, "MAJOR", "43") && !udev_node_attribute(self, "pid")) ||
           view->loop_hidden || !size || (is(size, "0") && !view->disk) ||
           (says(self, "ID_TYPE", "cd") && !says(self, "ID_CDROM_MEDIA", "1"));
}

static bool is_excluded_usb(const UdevNode *self)
{
    const char *type = udev_node_property(self, "TYPE");
    const char *number = udev_node_property(self, "DEVNUM");
    const char *now = udev_node_attribute(self, "devnum");
    DeviceName name;

    return !is(self->devtype, "usb_device") ||
           !device_name_parse(&name, DEVICE_CLASS_USB, self->sysname,
                              strlen(self->sysname)) ||
           is(type, "9") || begins(type, "9/") ||
           !udev_node_attribute(self, "idVendor") ||
           !udev_node_property(self, "ID_VENDOR_ID") ||
           (number && now &&
            !is(number + strspn(number, "0"), now + strspn(now, "0"))) ||
           says(self, "ID_VENDOR", "QEMU") ||
           says(self, "QUBES_EXPORT_USB_DEVICE", "0") ||
           strstr(self->devpath, "/vhci_hcd");
}

static void check_export(const UdevView *view)
{
    bool is_block = is(view->self->subsystem, "block");
    bool excluded = is_block ? is_excluded_block(view)
                             : !is(view->self->subsystem, "usb") ||
                                   is_excluded_usb(view->self);
    Export export = export_decide(view, false);
    Properties interfaces = {};
    bool known = want_interfaces(&interfaces, view);
    Presence wanted = excluded || !known ? PRESENCE_NONE
                      : is_block && view->use != UDEV_USE_NONE
                          ? PRESENCE_IN_USE
                          : PRESENCE_OFFERED;

    assert(export_presence(export) == wanted);
    assert(export_is_refused(export) == (!excluded && !known));
    assert(export_reason(export)[0] != '\0');
    /* QEMU's are the only ones that it lets in */
    if (export_decide(view, true) != export)
        assert(export == EXPORT_QEMU && says(view->self, "ID_VENDOR", "QEMU"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    UdevInput input;
    const UdevView *view = &input.view;
    const Record untouched = { .action = RECORD_REMOVE, .device = { "x" } };
    Record record = untouched;

    udev_input_read(&input, (const char *) data, size);
    check_export(view);
    fuzz_set_taken(udev_record_build(&record, view));
    if (fuzz_was_taken()) {
        check_meaning(&record, view);
        check_line(&record);
    } else {
        assert(export_presence(export_decide(view, false)) == PRESENCE_NONE);
        assert(record_equal(&record, &untouched));
    }
    udev_input_clear(&input);
    return 0;
}
