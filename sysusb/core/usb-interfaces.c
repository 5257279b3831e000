/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "sysusb/core/usb-interfaces.h"

/* linux/usb/ch9.h */
#define DEVICE_SIZE    18U
#define HEADER_SIZE    2U
#define INTERFACE_TYPE 4U
#define INTERFACE_SIZE 9U

/* where they are in a descriptor */
#define AT_TYPE  1U
#define AT_CLASS 5U /* then subclass and protocol */

static bool have(const Properties *properties, const char *code)
{
    for (size_t i = 0; i < properties->n_interfaces; i++)
        if (strcmp(properties->interfaces[i].s, code) == 0)
            return true;
    return false;
}

static UsbInterfaces add(Properties *ret,
                         const char *untrusted_code,
                         size_t untrusted_len)
{
    InterfaceCode code = {};

    if (untrusted_len != sizeof(code.s) - 1)
        return USB_INTERFACES_UNSURE;
    memcpy(code.s, untrusted_code, untrusted_len);
    if (have(ret, code.s))
        return USB_INTERFACES_WHOLE;
    if (ret->n_interfaces == RECORD_INTERFACES_MAX)
        return USB_INTERFACES_TOO_MANY;
    return properties_add_interface(ret, code.s, untrusted_len)
               ? USB_INTERFACES_WHOLE
               : USB_INTERFACES_UNSURE;
}

/* ":080650:030101:" */
static UsbInterfaces add_list(Properties *ret, const char *untrusted_list)
{
    UsbInterfaces result = USB_INTERFACES_WHOLE;

    if (*untrusted_list != ':')
        return USB_INTERFACES_UNSURE;
    while (result == USB_INTERFACES_WHOLE && *++untrusted_list) {
        size_t untrusted_len = strcspn(untrusted_list, ":");

        /* each one ends with a colon */
        if (untrusted_list[untrusted_len] == '\0')
            return USB_INTERFACES_UNSURE;
        result = add(ret, untrusted_list, untrusted_len);
        untrusted_list += untrusted_len;
    }
    return result;
}

/* Those of all configurations, with all their alternate settings. */
static UsbInterfaces add_descriptors(Properties *ret,
                                     const uint8_t *untrusted_bytes,
                                     size_t untrusted_len)
{
    UsbInterfaces result = USB_INTERFACES_WHOLE;
    size_t size;

    if (untrusted_len < DEVICE_SIZE || untrusted_len >= USB_DESCRIPTORS_MAX)
        return USB_INTERFACES_UNSURE;
    for (size_t at = DEVICE_SIZE;
         result == USB_INTERFACES_WHOLE && at < untrusted_len; at += size) {
        const uint8_t *untrusted_one = untrusted_bytes + at;
        char code[sizeof(InterfaceCode)];

        size = untrusted_one[0];
        if (size < HEADER_SIZE || size > untrusted_len - at)
            return USB_INTERFACES_UNSURE;
        if (untrusted_one[AT_TYPE] != INTERFACE_TYPE)
            continue;
        if (size < INTERFACE_SIZE)
            return USB_INTERFACES_UNSURE;
        (void) text_format(code, sizeof(code), "%02x%02x%02x",
                           untrusted_one[AT_CLASS], untrusted_one[AT_CLASS + 1],
                           untrusted_one[AT_CLASS + 2]);
        result = add(ret, code, strlen(code));
    }
    return result;
}

UsbInterfaces usb_interfaces_take(Properties *ret, const UdevView *view)
{
    bool is_usb =
        view->self->subsystem && strcmp(view->self->subsystem, "usb") == 0;
    const UdevNode *usb = is_usb ? view->self : view->usb;
    Properties taken = *ret;
    UsbInterfaces result = USB_INTERFACES_WHOLE;
    const char *untrusted_list;

    if (!usb)
        return USB_INTERFACES_WHOLE;
    untrusted_list = udev_node_property(usb, "ID_USB_INTERFACES");
    if (untrusted_list)
        result = add_list(&taken, untrusted_list);
    if (result == USB_INTERFACES_WHOLE && view->descriptors)
        result =
            add_descriptors(&taken, view->descriptors, view->descriptors_len);
    /* a device has a configuration, and that an interface */
    if (result == USB_INTERFACES_WHOLE && taken.n_interfaces == 0)
        result = USB_INTERFACES_UNSURE;
    if (result == USB_INTERFACES_WHOLE)
        *ret = taken;
    return result;
}
