/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <string.h>

#include "common/text.h"
#include "tests/property/model/catalogue.h"

static const ThingKind kinds[THINGS] = {
    [THING_STICK] = { .label = "stick",
                      .vendor_id = "0781",
                      .product_id = "5581",
                      .serial = "4C53",
                      .interfaces = "u080650",
                      .fs_uuid = "AAAA-0001",
                      .n_disks = 1,
                      .n_parts = 2 },
    [THING_TWIN_1] = { .label = "twin-1",
                       .vendor_id = "0951",
                       .product_id = "1666",
                       .interfaces = "u080650",
                       .fs_uuid = "BBBB-0001",
                       .n_disks = 1,
                       .n_parts = 1 },
    [THING_TWIN_2] = { .label = "twin-2",
                       .vendor_id = "0951",
                       .product_id = "1666",
                       .interfaces = "u080650",
                       .fs_uuid = "BBBB-0002",
                       .n_disks = 1,
                       .n_parts = 1 },
    [THING_BIG_DISK] = { .label = "big-disk",
                         .vendor_id = "1058",
                         .product_id = "25a2",
                         .serial = "WX11",
                         .interfaces = "u080650u080662",
                         .n_disks = 1,
                         .n_parts = PARTS_MAX },
    [THING_READER] = { .label = "card-reader",
                       .vendor_id = "0bda",
                       .product_id = "0129",
                       .serial = "2010",
                       .interfaces = "u080650",
                       .fs_uuid = "CCCC-0001",
                       .n_disks = DISKS_MAX,
                       .n_parts = 1,
                       .slots = true },
    [THING_KEY] = { .label = "key",
                    .vendor_id = "1050",
                    .product_id = "0407",
                    .interfaces = "u030101u0b0000" },
    [THING_PHONE] = { .label = "phone",
                      .vendor_id = "18d1",
                      .product_id = "4ee1",
                      .mode_product_id = "4ee7",
                      .serial = "8A3X",
                      .interfaces = "uffff00" },
    [THING_ODD] = { .label = "odd-stick",
                    .vendor_id = "abcd",
                    .product_id = "1234",
                    .serial = "it's odd",
                    .interfaces = "u080650",
                    .n_disks = 1,
                    .n_parts = 0 },
    [THING_INNER] = { .label = "inner-disk",
                      .fs_uuid = "DDDD-0001",
                      .n_disks = 1,
                      .n_parts = 1 },
};

static const char *const usb_names[USB_PORTS] = { "2-1", "2-2", "2-4.1" };

static const char *const paths[PORTS] = {
    "pci-0000:00:14.0-usb-0:1",
    "pci-0000:00:14.0-usb-0:2",
    "pci-0000:00:14.0-usb-0:4.1",
    "pci-0000:01:00.0-nvme-1",
};

const ThingKind *catalogue_get(size_t index)
{
    assert(index < ARRAY_SIZE(kinds));
    return &kinds[index];
}

const char *port_path(unsigned int port)
{
    return paths[port];
}

int seat_usb(unsigned int source, unsigned int port)
{
    return (int) (source * SEATS_OF_SOURCE + port);
}

int seat_block(unsigned int source, unsigned int letter, unsigned int part)
{
    return (int) (source * SEATS_OF_SOURCE + USB_PORTS +
                  letter * SEATS_OF_LETTER + part);
}

/* "sda1", "nvme0n1p1": a disk's number, and the partition's or 0. */
static bool block_parse(const char *name,
                        unsigned int *ret_letter,
                        unsigned int *ret_part)
{
    static const char nvme[] = "nvme0n1";
    const char *rest;

    if (strncmp(name, nvme, strlen(nvme)) == 0) {
        *ret_letter = LETTERS;
        rest = name + strlen(nvme);
        rest += *rest == 'p';
    } else if (strncmp(name, "sd", 2) == 0) {
        *ret_letter = (unsigned int) (name[2] - 'a');
        rest = name + 3;
    } else {
        return false;
    }
    *ret_part = *rest == '\0' ? 0 : (unsigned int) (*rest - '0');
    return *ret_letter <= LETTERS && *ret_part <= PARTS_MAX;
}

int seat_find(unsigned int source, DeviceClass class, const char *name)
{
    unsigned int letter, part;

    if (class == DEVICE_CLASS_BLOCK)
        return block_parse(name, &letter, &part)
                   ? seat_block(source, letter, part)
                   : NO_SEAT;
    for (unsigned int port = 0; port < USB_PORTS; port++)
        if (strcmp(usb_names[port], name) == 0)
            return seat_usb(source, port);
    return NO_SEAT;
}

unsigned int seat_source(int seat)
{
    return (unsigned int) seat / SEATS_OF_SOURCE;
}

DeviceClass seat_class(int seat)
{
    return seat % SEATS_OF_SOURCE < USB_PORTS ? DEVICE_CLASS_USB
                                              : DEVICE_CLASS_BLOCK;
}

DeviceName seat_name(int seat)
{
    unsigned int index = (unsigned int) seat % SEATS_OF_SOURCE;
    unsigned int letter, part;
    DeviceName name = {};

    if (index < USB_PORTS) {
        (void) text_format(name.s, sizeof(name.s), "%s", usb_names[index]);
        return name;
    }
    letter = (index - USB_PORTS) / SEATS_OF_LETTER;
    part = (index - USB_PORTS) % SEATS_OF_LETTER;
    if (letter == LETTERS && part == 0)
        (void) text_format(name.s, sizeof(name.s), "nvme0n1");
    else if (letter == LETTERS)
        (void) text_format(name.s, sizeof(name.s), "nvme0n1p%u", part);
    else if (part == 0)
        (void) text_format(name.s, sizeof(name.s), "sd%c", 'a' + (int) letter);
    else
        (void) text_format(name.s, sizeof(name.s), "sd%c%u", 'a' + (int) letter,
                           part);
    return name;
}

bool seat_is_part_of(int part, int disk)
{
    int index = part % SEATS_OF_SOURCE - USB_PORTS;
    int other = disk % SEATS_OF_SOURCE - USB_PORTS;

    return seat_source(part) == seat_source(disk) && index >= 0 && other >= 0 &&
           other % SEATS_OF_LETTER == 0 && index != other &&
           index / SEATS_OF_LETTER == other / SEATS_OF_LETTER;
}
