/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "sysusb/core/udev-record.h"
#include "sysusb/core/usb-interfaces.h"

/* longest value that is looked at: RECORD_LONG_MAX bytes, each as "\xNN" */
#define ENCODED_MAX (RECORD_LONG_MAX * 4U)

#define SECTOR_SIZE INT64_C(512)

/* A property of udev and the key it becomes; @encoded: with \xNN. */
typedef struct Mapping {
    const char *name;
    PropertyKey key;
    bool encoded;
} Mapping;

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/*
 * Undo udev_device's encoding (udev_util_encode_string): every backslash
 * begins a \xNN. Answers false for one that does not.
 */
static bool decode(char ret[static ENCODED_MAX],
                   size_t *ret_len,
                   const char *untrusted_text,
                   size_t untrusted_len)
{
    size_t len = 0;

    for (size_t i = 0; i < untrusted_len; i++) {
        int high, low;

        if (untrusted_text[i] != '\\') {
            ret[len++] = untrusted_text[i];
            continue;
        }
        if (untrusted_len - i < 4 || untrusted_text[i + 1] != 'x')
            return false;
        high = hex_digit(untrusted_text[i + 2]);
        low = hex_digit(untrusted_text[i + 3]);
        if (high < 0 || low < 0)
            return false;
        ret[len++] = (char) (high << 4 | low);
        i += 3;
    }

    *ret_len = len;
    return true;
}

/* Whether @node has the property; one that is not valid is left out. */
static bool take_text(Properties *ret,
                      const UdevNode *node,
                      const Mapping *mapping)
{
    const char *untrusted_text = udev_node_property(node, mapping->name);
    char decoded[ENCODED_MAX];
    size_t untrusted_len;
    bool valid;

    if (!untrusted_text || *untrusted_text == '\0')
        return false;
    untrusted_len = strnlen(untrusted_text, ENCODED_MAX + 1);
    if (untrusted_len > ENCODED_MAX)
        return true;

    if (mapping->encoded) {
        if (!decode(decoded, &untrusted_len, untrusted_text, untrusted_len))
            return true;
        untrusted_text = decoded;
    }
    while (untrusted_len > 0 && *untrusted_text == ' ') {
        untrusted_text++;
        untrusted_len--;
    }
    while (untrusted_len > 0 && untrusted_text[untrusted_len - 1] == ' ')
        untrusted_len--;

    valid =
        properties_set_text(ret, mapping->key, untrusted_text, untrusted_len);
    (void) valid; /* else it is left out */
    return true;
}

static void take_texts(Properties *ret,
                       const UdevNode *node,
                       const Mapping *mappings,
                       size_t n_mappings)
{
    for (size_t i = 0; i < n_mappings; i++)
        (void) take_text(ret, node, &mappings[i]);
}

/* A whole number in decimal, nothing else; -1 for what is none. */
static int64_t parse_number(const char *untrusted_text)
{
    int64_t number = 0;

    if (!untrusted_text || *untrusted_text == '\0')
        return -1;
    for (; *untrusted_text; untrusted_text++) {
        if (*untrusted_text < '0' || *untrusted_text > '9' ||
            __builtin_mul_overflow(number, INT64_C(10), &number) ||
            __builtin_add_overflow(number, *untrusted_text - '0', &number))
            return -1;
    }
    return number;
}

/* -1, and what is out of bounds for the key, is left out. */
static void take_number(Properties *ret, PropertyKey key, int64_t number)
{
    bool valid = number >= 0 && properties_set_number(ret, key, number);

    (void) valid;
}

/* "0" or "1" */
static void take_bool(Properties *ret,
                      const UdevNode *node,
                      const char *attribute,
                      PropertyKey key)
{
    int64_t number = parse_number(udev_node_attribute(node, attribute));

    if (number == 0 || number == 1)
        properties_set_bool(ret, key, number == 1);
}

static const Mapping path_mapping = { "ID_PATH", PROPERTY_PATH, false };

/* vendor_id to path: of the USB device, for a block device of the one that it
 * hangs on; never of a bridge's SCSI or ATA data. */
static void take_usb(Properties *ret, const UdevNode *usb)
{
    static const Mapping mappings[] = {
        { "ID_VENDOR_ID", PROPERTY_VENDOR_ID, false },
        { "ID_MODEL_ID", PROPERTY_PRODUCT_ID, false },
        { "ID_REVISION", PROPERTY_REVISION, false },
        { "ID_SERIAL_SHORT", PROPERTY_SERIAL, false },
        { "ID_VENDOR_ENC", PROPERTY_VENDOR, true },
        { "ID_MODEL_ENC", PROPERTY_MODEL, true },
    };

    take_texts(ret, usb, mappings, ARRAY_SIZE(mappings));
    (void) take_text(ret, usb, &path_mapping);
}

/* If the encoded value is there but not valid, the plain one is not taken
 * instead: in that, udev has replaced what it did not like. */
static void take_content(Properties *ret, const UdevNode *node)
{
    static const Mapping mappings[] = {
        { "ID_FS_TYPE", PROPERTY_FS_TYPE, false },
        { "ID_PART_TABLE_TYPE", PROPERTY_PART_TABLE, false },
        { "ID_PART_ENTRY_UUID", PROPERTY_PART_UUID, true },
        { "ID_PART_ENTRY_NAME", PROPERTY_PART_LABEL, true },
    };
    static const Mapping preferred[][2] = {
        { { "ID_FS_UUID_ENC", PROPERTY_FS_UUID, true },
          { "ID_FS_UUID", PROPERTY_FS_UUID, false } },
        { { "ID_FS_LABEL_ENC", PROPERTY_FS_LABEL, true },
          { "ID_FS_LABEL", PROPERTY_FS_LABEL, false } },
    };

    take_texts(ret, node, mappings, ARRAY_SIZE(mappings));
    for (size_t i = 0; i < ARRAY_SIZE(preferred); i++)
        if (!take_text(ret, node, &preferred[i][0]))
            (void) take_text(ret, node, &preferred[i][1]);
}

static void take_block(Properties *ret, const UdevView *view)
{
    const UdevNode *disk = view->disk ? view->disk : view->self;
    int64_t n_sectors = parse_number(udev_node_attribute(view->self, "size"));
    int64_t diskseq = parse_number(udev_node_property(view->self, "DISKSEQ"));

    if (diskseq < 0)
        diskseq = parse_number(udev_node_property(disk, "DISKSEQ"));

    take_content(ret, view->self);
    if (n_sectors <= RECORD_NUMBER_MAX / SECTOR_SIZE)
        take_number(ret, PROPERTY_SIZE,
                    n_sectors < 0 ? n_sectors : n_sectors * SECTOR_SIZE);
    take_number(ret, PROPERTY_PARTITION,
                parse_number(udev_node_property(view->self, "PARTN")));
    take_number(ret, PROPERTY_DISKSEQ, diskseq);
    take_bool(ret, disk, "removable", PROPERTY_REMOVABLE);
    take_bool(ret, view->self, "ro", PROPERTY_READ_ONLY);
}

/* On the wire a parent has no class: it must be seen from its name. */
static void take_parent(Record *ret, const UdevView *view)
{
    const UdevNode *parent = view->disk ? view->disk : view->usb;
    DeviceClass class = view->disk ? DEVICE_CLASS_BLOCK : DEVICE_CLASS_USB;
    DeviceName name;

    if (!parent || device_name_parse_any(&name, parent->sysname,
                                         strlen(parent->sysname)) != class)
        return;
    ret->parent = name;
    ret->parent_class = class;
}

bool udev_record_name(Record *ret, const UdevNode *node)
{
    Record record = { .action = RECORD_PRESENT };

    if (!node->subsystem)
        return false;
    record.class = device_class_from_string(node->subsystem);
    if (!device_name_parse(&record.device, record.class, node->sysname,
                           strlen(node->sysname)))
        return false;

    *ret = record;
    return true;
}

bool udev_record_build(Record *ret, const UdevView *view)
{
    static const Mapping devtype = { "DEVTYPE", PROPERTY_DEVTYPE, false };
    Record record;

    if (!udev_record_name(&record, view->self))
        return false;

    (void) take_text(&record.properties, view->self, &devtype);
    /* without them it is not exported */
    (void) !usb_interfaces_take(&record.properties, view);
    if (record.class == DEVICE_CLASS_USB) {
        take_usb(&record.properties, view->self);
    } else {
        take_parent(&record, view);
        take_block(&record.properties, view);
        if (view->usb)
            take_usb(&record.properties, view->usb);
        else
            (void) take_text(&record.properties, view->self, &path_mapping);
    }

    *ret = record;
    return true;
}
