/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Record: what a source tells of one device (DESIGN 3)
 *
 * A plain value, made from bytes only by record-wire, or field by field by the
 * forwarder through the property_*_valid() checks below. Every text in it is
 * valid UTF-8 without control characters, NUL-terminated and within its limit;
 * it is still text that the device chose, so it is escaped before it is shown.
 */

#include "common/device.h"
#include "common/util.h"

#define RECORD_PROTOCOL_VERSION 1

/* limits in bytes, without the terminating NUL */
#define RECORD_TEXT_MAX       126U /* USB string descriptors: 126 characters */
#define RECORD_LONG_MAX       255U /* file system labels, paths */
#define RECORD_AGENT_MAX      64U
#define RECORD_INTERFACES_MAX 32U
#define RECORD_PARTITION_MAX  255
/* every number: seq, size, diskseq; what JSON libraries carry unharmed */
#define RECORD_NUMBER_MAX INT64_MAX

typedef enum RecordAction {
    RECORD_ACTION_INVALID,
    RECORD_PRESENT,
    RECORD_ADD,
    RECORD_CHANGE,
    RECORD_REMOVE,
} RecordAction;

/* One bit each, in the order of the table of DESIGN 3. */
typedef enum PropertyKey {
    PROPERTY_VENDOR_ID,
    PROPERTY_PRODUCT_ID,
    PROPERTY_REVISION,
    PROPERTY_SERIAL,
    PROPERTY_VENDOR,
    PROPERTY_MODEL,
    PROPERTY_INTERFACES,
    PROPERTY_PATH,
    PROPERTY_DEVTYPE,
    PROPERTY_PARTITION,
    PROPERTY_FS_TYPE,
    PROPERTY_FS_UUID,
    PROPERTY_FS_LABEL,
    PROPERTY_PART_TABLE,
    PROPERTY_PART_UUID,
    PROPERTY_PART_LABEL,
    PROPERTY_SIZE,
    PROPERTY_REMOVABLE,
    PROPERTY_READ_ONLY,
    PROPERTY_DISKSEQ,
} PropertyKey;
#define N_PROPERTIES (PROPERTY_DISKSEQ + 1)

/* What form a property has; see property_form(). */
typedef enum PropertyForm {
    PROPERTY_FORM_HEX4_LOWER, /* 4 hex digits, lower case */
    PROPERTY_FORM_HEX4,       /* 4 hex digits */
    PROPERTY_FORM_TEXT,
    PROPERTY_FORM_INTERFACES, /* list of 6 hex digits */
    PROPERTY_FORM_DEVTYPE,
    PROPERTY_FORM_NUMBER,
    PROPERTY_FORM_BOOL,
} PropertyForm;

typedef enum DeviceType {
    DEVICE_TYPE_INVALID,
    DEVICE_TYPE_DISK,
    DEVICE_TYPE_PARTITION,
    DEVICE_TYPE_USB_DEVICE,
} DeviceType;

typedef struct InterfaceCode {
    char s[7]; /* "ccsspp": class, subclass, protocol */
} InterfaceCode;

typedef struct Properties {
    uint32_t present; /* bit 1 << PropertyKey */

    char vendor_id[5];
    char product_id[5];
    char revision[5];
    char serial[RECORD_TEXT_MAX + 1];
    char vendor[RECORD_TEXT_MAX + 1];
    char model[RECORD_TEXT_MAX + 1];
    char path[RECORD_LONG_MAX + 1];
    char fs_type[RECORD_LONG_MAX + 1];
    char fs_uuid[RECORD_LONG_MAX + 1];
    char fs_label[RECORD_LONG_MAX + 1];
    char part_table[RECORD_LONG_MAX + 1];
    char part_uuid[RECORD_LONG_MAX + 1];
    char part_label[RECORD_LONG_MAX + 1];

    InterfaceCode interfaces[RECORD_INTERFACES_MAX];
    uint8_t n_interfaces;

    DeviceType devtype;
    uint8_t partition;
    bool removable;
    bool read_only;
    int64_t size; /* bytes */
    int64_t diskseq;
} Properties;

typedef struct Record {
    RecordAction action;
    DeviceClass class;
    DeviceName device;
    /* DEVICE_CLASS_INVALID: no parent. A partition's is its disk, a disk's its
     * USB device, if it has one. */
    DeviceClass parent_class;
    DeviceName parent;
    Properties properties;
} Record;

const char *record_action_to_string(RecordAction action);
RecordAction record_action_from_string(const char *untrusted_text);

const char *device_type_to_string(DeviceType type);

/* The key's name on the wire, its form, and for texts its limit in bytes. */
const char *property_name(PropertyKey key);
PropertyForm property_form(PropertyKey key);
size_t property_text_max(PropertyKey key);
/* N_PROPERTIES for a key that is none. */
PropertyKey property_from_name(const char *untrusted_name);

static inline bool properties_have(const Properties *properties,
                                   PropertyKey key)
{
    return (properties->present & (UINT32_C(1) << key)) != 0;
}

/*
 * Set a property of the form HEX4*, TEXT or DEVTYPE. False, and nothing
 * changed, for a value that is not of the key's form.
 */
_must_check_ bool properties_set_text(Properties *properties,
                                      PropertyKey key,
                                      const char *untrusted_text,
                                      size_t untrusted_len);
/* The same for NUMBER: partition 1..255, size and diskseq 0..INT64_MAX. */
_must_check_ bool properties_set_number(Properties *properties,
                                        PropertyKey key,
                                        int64_t untrusted_number);
void properties_set_bool(Properties *properties, PropertyKey key, bool value);
/* Append one interface; false if it is malformed or the list is full. */
_must_check_ bool properties_add_interface(Properties *properties,
                                           const char *untrusted_code,
                                           size_t untrusted_len);

/* The value of a set property; only for keys of the fitting form. */
const char *properties_get_text(const Properties *properties, PropertyKey key);
int64_t properties_get_number(const Properties *properties, PropertyKey key);
bool properties_get_bool(const Properties *properties, PropertyKey key);

bool properties_equal(const Properties *a, const Properties *b);
bool record_equal(const Record *a, const Record *b);

/*
 * Whether two records of one device name are of the same plug, as far as
 * records can tell: vendor_id, product_id, serial, path and diskseq agree.
 */
bool record_same_plug(const Record *a, const Record *b);

/* The same but for diskseq: also of a USB device and a disk in it. */
bool record_same_place(const Record *a, const Record *b);
