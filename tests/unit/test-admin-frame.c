/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/wire/admin.h"
#include "tests/support/test.h"

#define BYTES(literal) literal, sizeof(literal) - 1
/* a frame of which nothing is taken */
#define OTHER(literal)                                       \
    {                                                        \
        BYTES(literal), ADMIN_EVENT_OTHER, "", "", "", NULL, \
            DEVICE_CLASS_INVALID                             \
    }

typedef struct FrameCase {
    const char *bytes;
    size_t len;
    AdminEventType type;
    const char *subject;
    const char *backend;
    const char *port;
    const char *identity; /* NULL: none */
    DeviceClass class;
} FrameCase;

static const FrameCase frames[] = {
    { BYTES("1\0\0connection-established\0\0"), ADMIN_EVENT_ESTABLISHED, "", "",
      "", NULL, DEVICE_CLASS_INVALID },
    { BYTES("1\0sys-usb\0device-list-change:block\0\0"),
      ADMIN_EVENT_LIST_CHANGE, "sys-usb", "", "", NULL, DEVICE_CLASS_BLOCK },
    { BYTES("1\0sys-usb\0device-list-change:usb\0\0"), ADMIN_EVENT_LIST_CHANGE,
      "sys-usb", "", "", NULL, DEVICE_CLASS_USB },
    { BYTES("1\0sys-usb\0device-added:block\0device\0sys-usb:sdb::None\0\0"),
      ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sys-usb", "sdb", ":None",
      DEVICE_CLASS_BLOCK },
    { BYTES("1\0sys-usb\0device-added:usb\0device\0sys-usb:2-1.4:1050:0407::"
            "u030101\0\0"),
      ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sys-usb", "2-1.4",
      "1050:0407::u030101", DEVICE_CLASS_USB },
    { BYTES("1\0work\0device-attach:block\0device\0sys-usb:sda:0781:5581:4C:"
            "u0\0options\0{'read-only': 'no', 'frontend-dev': 'xvdi'}\0\0"),
      ADMIN_EVENT_ATTACH, "work", "sys-usb", "sda", "0781:5581:4C:u0",
      DEVICE_CLASS_BLOCK },
    { BYTES("1\0work\0device-attach:block\0options\0{}\0device\0sys-usb:sda:"
            "0781:5581:4C:u0\0\0"),
      ADMIN_EVENT_ATTACH, "work", "sys-usb", "sda", "0781:5581:4C:u0",
      DEVICE_CLASS_BLOCK },
    { BYTES("1\0work\0device-detach:block\0port\0sys-usb:sda\0\0"),
      ADMIN_EVENT_DETACH, "work", "sys-usb", "sda", NULL, DEVICE_CLASS_BLOCK },
    { BYTES("1\0sys-usb\0device-removed:block\0port\0sys-usb:sdb\0\0"),
      ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sys-usb", "sdb", NULL,
      DEVICE_CLASS_BLOCK },
    /* R4.2 */
    { BYTES("1\0work\0device-detach:block\0device\0sys-usb:sda\0\0"),
      ADMIN_EVENT_DETACH, "work", "sys-usb", "sda", NULL, DEVICE_CLASS_BLOCK },
    { BYTES("1\0work\0domain-start\0start_guid\0True\0\0"),
      ADMIN_EVENT_DOMAIN_START, "work", "", "", NULL, DEVICE_CLASS_INVALID },
    { BYTES("1\0work\0domain-shutdown\0\0"), ADMIN_EVENT_DOMAIN_SHUTDOWN,
      "work", "", "", NULL, DEVICE_CLASS_INVALID },
    { BYTES("1\0sys-usb\0device-added:block\0device\0sys-usb:sda:0781:a b\0\0"),
      ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sys-usb", "sda", "0781:a b",
      DEVICE_CLASS_BLOCK },
    { BYTES("1\0sys-usb\0device-added:block\0device\0sys-usb:sda:\0\0"),
      ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sys-usb", "sda", NULL,
      DEVICE_CLASS_BLOCK },
    /* what does not concern us, or is not of its form */
    OTHER("1\0work\0domain-start-failed\0reason\0no\0\0"),
    OTHER("1\0work\0domain-pre-start\0\0"),
    OTHER("1\0work\0property-set:netvm\0newvalue\0\0name\0netvm\0\0"),
    OTHER("1\0\0domain-add\0vm\0x\0\0"),
    OTHER("1\0no qube\0domain-start\0\0"),
    OTHER("1\0\0domain-start\0\0"),
    OTHER("1\0work\0device-attach:pci\0device\0dom0:00_1\0\0"),
    OTHER("1\0work\0device-attach:\0device\0sys-usb:sda\0\0"),
    OTHER("1\0work\0device-attach\0device\0sys-usb:sda\0\0"),
    OTHER("1\0work\0device-attach:blocks\0device\0sys-usb:sda\0\0"),
    OTHER("1\0work\0device-attach:block\0\0"),
    OTHER("1\0work\0device-attach:block\0device\0sys-usb\0\0"),
    OTHER("1\0work\0device-attach:block\0device\0:sda\0\0"),
    OTHER("1\0work\0device-attach:block\0device\0sys-usb:\0\0"),
    OTHER("1\0work\0device-attach:block\0device\0sys usb:sda\0\0"),
    OTHER("1\0work\0device-attach:block\0device\0sys-usb:../x\0\0"),
    OTHER("1\0work\0device-attach:usb\0device\0sys-usb:sda\0\0"),
    OTHER("1\0work\0\0\0"),
};

static void expect_event(const AdminEvent *event, const FrameCase *expected)
{
    assert_int_equal(event->type, expected->type);
    assert_string_equal(event->subject.s, expected->subject);
    assert_string_equal(event->backend.s, expected->backend);
    assert_string_equal(event->port.s, expected->port);
    assert_int_equal(event->class, expected->class);
    assert_int_equal(event->has_identity, expected->identity != NULL);
    assert_string_equal(event->identity.s,
                        expected->identity ? expected->identity : "");
}

static void test_every_frame_of_the_wire_is_read(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
        AdminEvent event;
        size_t len = 0;

        memset(&event, 0xff, sizeof(event));
        assert_int_equal(
            admin_decode_frame(&event, &len, frames[i].bytes, frames[i].len),
            ADMIN_FRAME_GOOD);
        assert_int_equal(len, frames[i].len);
        expect_event(&event, &frames[i]);
    }
}

static void test_a_frame_that_is_cut_anywhere_is_incomplete(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
        for (size_t n = 0; n < frames[i].len; n++) {
            AdminEvent event;
            size_t len = 4711;

            assert_int_equal(
                admin_decode_frame(&event, &len, frames[i].bytes, n),
                ADMIN_FRAME_INCOMPLETE);
            assert_int_equal(event.type, ADMIN_EVENT_OTHER);
            assert_int_equal(len, 4711);
        }
    }
}

static void test_only_the_first_of_several_frames_is_taken(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(frames); j++) {
            char bytes[512];
            AdminEvent event;
            size_t len = 0;

            memcpy(bytes, frames[i].bytes, frames[i].len);
            memcpy(bytes + frames[i].len, frames[j].bytes, frames[j].len);
            assert_int_equal(admin_decode_frame(&event, &len, bytes,
                                                frames[i].len + frames[j].len),
                             ADMIN_FRAME_GOOD);
            assert_int_equal(len, frames[i].len);
            expect_event(&event, &frames[i]);
            assert_int_equal(
                admin_decode_frame(&event, &len, bytes + len, frames[j].len),
                ADMIN_FRAME_GOOD);
            expect_event(&event, &frames[j]);
        }
    }
}

static void test_a_stream_of_something_else_is_bad(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { BYTES("0\0work\0domain-start\0\0") },
        { BYTES("2\0QubesException\0\0no\0") },
        { BYTES("11\0work\0domain-start\0\0") },
        { BYTES("\0") },
        { BYTES("{}\0") },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AdminEvent event;
        size_t len = 0;

        assert_int_equal(
            admin_decode_frame(&event, &len, cases[i].bytes, cases[i].len),
            ADMIN_FRAME_BAD);
    }
}

static void test_a_frame_may_have_many_pairs(void **state)
{
    (void) state;

    /* the device behind the 16th pair is not looked at */
    for (size_t n = 15; n <= 16; n++) {
        static const char start[] = "1\0work\0device-attach:block";
        static const char last[] = "device\0sys-usb:sda\0";
        char bytes[512];
        AdminEvent event;
        size_t at = sizeof(start), len = 0;

        memcpy(bytes, start, sizeof(start));
        for (size_t i = 0; i < n; i++) {
            memcpy(bytes + at, "k\0v", 4);
            at += 4;
        }
        memcpy(bytes + at, last, sizeof(last));
        at += sizeof(last);
        assert_int_equal(admin_decode_frame(&event, &len, bytes, at),
                         ADMIN_FRAME_GOOD);
        assert_int_equal(len, at);
        assert_int_equal(event.type,
                         n == 15 ? ADMIN_EVENT_ATTACH : ADMIN_EVENT_OTHER);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_frame_of_the_wire_is_read),
        cmocka_unit_test(test_a_frame_that_is_cut_anywhere_is_incomplete),
        cmocka_unit_test(test_only_the_first_of_several_frames_is_taken),
        cmocka_unit_test(test_a_stream_of_something_else_is_bad),
        cmocka_unit_test(test_a_frame_may_have_many_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
