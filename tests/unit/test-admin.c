/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/wire/admin.h"
#include "tests/support/test.h"

/* a literal with the NULs in it, and its length */
#define BYTES(literal) literal, sizeof(literal) - 1

static QubeName qube(const char *name)
{
    QubeName ret;

    assert_true(qube_name_parse(&ret, name, strlen(name)));
    return ret;
}

static DeviceName device(DeviceClass class, const char *name)
{
    DeviceName ret;

    assert_true(device_name_parse(&ret, class, name, strlen(name)));
    return ret;
}

static AdminRequest request_to(AdminMethod method, const char *dest)
{
    return (AdminRequest){ .method = method, .dest = qube(dest) };
}

static AdminRequest request_about(AdminMethod method,
                                  const char *dest,
                                  DeviceClass class,
                                  const char *port)
{
    AdminRequest request = request_to(method, dest);

    request.class = class;
    request.backend = qube("sys-usb");
    request.port = device(class, port);
    return request;
}

static AdminRequest request_pinned(DeviceClass class,
                                   const char *port,
                                   const char *devid)
{
    AdminRequest request = request_about(ADMIN_ATTACH, "work", class, port);

    request.pinned = true;
    assert_true(identity_parse(&request.identity, devid, strlen(devid)));
    assert_true(identity_is_safe(&request.identity));
    return request;
}

static void expect_bytes(const AdminRequest *request,
                         const char *bytes,
                         size_t n_bytes)
{
    char text[ADMIN_REQUEST_MAX];
    size_t len;

    memset(text, '#', sizeof(text));
    len = admin_encode(text, request);
    assert_int_equal(len, n_bytes);
    assert_memory_equal(text, bytes, n_bytes);
}

/* requests */

static void test_methods_without_argument_are_a_header_and_a_nul(void **state)
{
    static const struct {
        AdminMethod method;
        const char *dest;
        const char *bytes;
    } cases[] = {
        { ADMIN_EVENTS, "dom0", "admin.Events+ dom0 name dom0" },
        { ADMIN_LIST, "dom0", "admin.vm.List+ dom0 name dom0" },
        { ADMIN_CURRENT_STATE, "work",
          "admin.vm.CurrentState+ dom0 name work" },
        { ADMIN_START, "work", "admin.vm.Start+ dom0 name work" },
        { ADMIN_KILL, "disp1", "admin.vm.Kill+ dom0 name disp1" },
        { ADMIN_SHUTDOWN, "disp1", "admin.vm.Shutdown+ dom0 name disp1" },
        { ADMIN_REMOVE, "disp1", "admin.vm.Remove+ dom0 name disp1" },
        { ADMIN_CREATE_DISPOSABLE, "dvm",
          "admin.vm.CreateDisposable+ dom0 name dvm" },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AdminRequest request = request_to(cases[i].method, cases[i].dest);

        /* what a method has no use for is not sent */
        request.port = device(DEVICE_CLASS_BLOCK, "sda");
        request.backend = qube("sys-usb");
        request.options.read_only = true;
        request.pinned = true;
        expect_bytes(&request, cases[i].bytes, strlen(cases[i].bytes) + 1);
    }
}

static void test_a_property_is_the_argument(void **state)
{
    static const char *const names[] = {
        [ADMIN_PROPERTY_GUIVM] = "guivm",
        [ADMIN_PROPERTY_ICON] = "icon",
        [ADMIN_PROPERTY_LABEL] = "label",
        [ADMIN_PROPERTY_DEFAULT_DISPVM] = "default_dispvm",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AdminRequest request = request_to(ADMIN_PROPERTY_GET, "sys-usb");
        char bytes[128];

        request.property = (AdminProperty) i;
        (void) snprintf(bytes, sizeof(bytes),
                        "admin.vm.property.Get+%s dom0 name sys-usb", names[i]);
        expect_bytes(&request, bytes, strlen(bytes) + 1);
    }
}

static void test_devices_are_asked_for_by_class(void **state)
{
    AdminRequest request;

    (void) state;

    request =
        request_about(ADMIN_AVAILABLE, "sys-usb", DEVICE_CLASS_BLOCK, "sda1");
    expect_bytes(
        &request,
        BYTES("admin.vm.device.block.Available+sda1 dom0 name sys-usb\0"));
    request =
        request_about(ADMIN_AVAILABLE, "sys-usb", DEVICE_CLASS_USB, "2-1.4");
    expect_bytes(
        &request,
        BYTES("admin.vm.device.usb.Available+2-1.4 dom0 name sys-usb\0"));
    request = request_about(ADMIN_ATTACHED, "work", DEVICE_CLASS_BLOCK, "sda");
    expect_bytes(&request,
                 BYTES("admin.vm.device.block.Attached+ dom0 name work\0"));
    request = request_about(ADMIN_DETACH, "work", DEVICE_CLASS_BLOCK, "sda");
    expect_bytes(
        &request,
        BYTES("admin.vm.device.block.Detach+sys-usb+sda dom0 name work\0"));
    request = request_about(ADMIN_OLD_LIST, "dom0", DEVICE_CLASS_BLOCK, "sda");
    expect_bytes(&request,
                 BYTES("admin.vm.device.block.List+ dom0 name dom0\0"));
}

static void test_an_attach_without_identity_names_the_port_only(void **state)
{
    AdminRequest request =
        request_about(ADMIN_ATTACH, "work", DEVICE_CLASS_BLOCK, "sda");

    (void) state;

    expect_bytes(
        &request,
        BYTES("admin.vm.device.block.Attach+sys-usb+sda dom0 name work\0"));
}

static void test_an_identity_is_sent_with_plus_for_colon(void **state)
{
    static const struct {
        const char *port;
        const char *devid;
        const char *argument;
    } cases[] = {
        { "sda", "0781:5581:4C53:u080650", "sda+0781+5581+4C53+u080650" },
        { "sda", "0781:5581:4C53:u080650:1.0",
          "sda+0781+5581+4C53+u080650+1.0" },
        { "sdb", ":None", "sdb++None" },
        { "sda1", "0000:0000::?******:1", "sda1+0000+0000++_______+1" },
        { "sr0", "a_b-c.d", "sr0+a_b-c.d" },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AdminRequest request =
            request_pinned(DEVICE_CLASS_BLOCK, cases[i].port, cases[i].devid);
        char bytes[256];

        (void) snprintf(bytes, sizeof(bytes),
                        "admin.vm.device.block.Attach+sys-usb+%s dom0 name "
                        "work",
                        cases[i].argument);
        expect_bytes(&request, bytes, strlen(bytes) + 1);
    }
}

static void test_a_usb_attach_has_no_payload(void **state)
{
    AdminRequest request =
        request_pinned(DEVICE_CLASS_USB, "2-1.4", "1050:0407::u030101");

    (void) state;

    expect_bytes(
        &request,
        BYTES("admin.vm.device.usb.Attach+sys-usb+2-1.4+1050+0407++u030101 "
              "dom0 name work\0"));
}

static void test_options_are_quoted_and_follow_the_header(void **state)
{
    static const struct {
        AttachOptions options;
        const char *payload;
    } cases[] = {
        { {}, "" },
        { { .read_only = true }, "_read-only='yes'" },
        { { .frontend = "xvdj" }, "_frontend-dev='xvdj'" },
        { { .cdrom = true }, "_devtype='cdrom'" },
        { { .read_only = true, .cdrom = true },
          "_read-only='yes' _devtype='cdrom'" },
        { { .frontend = "xvdj", .cdrom = true },
          "_frontend-dev='xvdj' _devtype='cdrom'" },
        { { .read_only = true, .frontend = "xvdj" },
          "_read-only='yes' _frontend-dev='xvdj'" },
        { { .read_only = true, .frontend = "xvdj", .cdrom = true },
          "_read-only='yes' _frontend-dev='xvdj' _devtype='cdrom'" },
    };
    static const char header[] =
        "admin.vm.device.block.Attach+sys-usb+sda dom0 name work";

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AdminRequest request =
            request_about(ADMIN_ATTACH, "work", DEVICE_CLASS_BLOCK, "sda");
        char bytes[256];

        request.options = cases[i].options;
        memcpy(bytes, header, sizeof(header));
        memcpy(bytes + sizeof(header), cases[i].payload,
               strlen(cases[i].payload));
        expect_bytes(&request, bytes,
                     sizeof(header) + strlen(cases[i].payload));
    }
}

static void test_the_longest_request_fits(void **state)
{
    AdminRequest request = {
        .method = ADMIN_ATTACH,
        .class = DEVICE_CLASS_BLOCK,
        .pinned = true,
        .options = { .read_only = true, .cdrom = true, .frontend = "xvdj" },
    };
    char text[ADMIN_REQUEST_MAX];
    size_t len;

    (void) state;

    memset(request.dest.s, 'd', QUBE_NAME_MAX);
    memset(request.backend.s, 'b', QUBE_NAME_MAX);
    memset(request.port.s, 'p', DEVICE_NAME_MAX);
    memset(request.identity.s, 'i', IDENTITY_SAFE_MAX);
    len = admin_encode(text, &request);
    assert_int_equal(strlen(text),
                     strlen("admin.vm.device.block.Attach+++ dom0 name ") +
                         2 * QUBE_NAME_MAX + DEVICE_NAME_MAX +
                         IDENTITY_SAFE_MAX);
    assert_int_equal(len, strlen(text) + 1 +
                              strlen("_read-only='yes' _frontend-dev='xvdj' "
                                     "_devtype='cdrom'"));
}

/* answers */

static AdminAnswer decode(AdminMethod method, const char *bytes, size_t len)
{
    AdminRequest request = request_to(method, "work");
    AdminAnswer answer;

    memset(&answer, 0xff, sizeof(answer));
    admin_decode(&answer, &request, bytes, len);
    return answer;
}

static void test_no_byte_at_all_is_an_empty_answer(void **state)
{
    AdminAnswer answer = decode(ADMIN_ATTACH, "", 0);

    (void) state;

    assert_int_equal(answer.result, ADMIN_EMPTY);
    assert_string_not_equal(answer.detail, "");
}

static void test_success_may_have_no_data(void **state)
{
    static const AdminMethod methods[] = { ADMIN_START,    ADMIN_ATTACH,
                                           ADMIN_DETACH,   ADMIN_KILL,
                                           ADMIN_SHUTDOWN, ADMIN_REMOVE };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        AdminAnswer answer = decode(methods[i], BYTES("0\0"));

        assert_int_equal(answer.result, ADMIN_OK);
        assert_string_equal(answer.detail, "");
        assert_false(answer.listing.listed);
        assert_string_equal(answer.qube.s, "");
        assert_int_equal(answer.power, POWER_UNKNOWN);
    }
}

static void test_what_has_no_form_is_garbage(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { BYTES("0") },
        { BYTES("\0") },
        { BYTES("0 ok") },
        { BYTES("00\0") },
        { BYTES("3\0") },
        { BYTES("1\0\0connection-established\0\0") },
        { BYTES("2") },
        { BYTES("2\0") },
        { BYTES("2\0QubesException") },
        { BYTES("2\0QubesException\0") },
        { BYTES("2\0QubesException\0\0") },
        { BYTES("2\0QubesException\0\0half a mess") },
        { BYTES("HTTP/1.1 200 OK\r\n\r\n") },
        { BYTES(" 0\0") },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AdminAnswer answer = decode(ADMIN_ATTACH, cases[i].bytes, cases[i].len);

        assert_int_equal(answer.result, ADMIN_GARBAGE);
        assert_int_equal(answer.error, ADMIN_ERROR_OTHER);
        assert_string_not_equal(answer.detail, "");
    }
}

static void test_every_exception_is_told_by_its_type(void **state)
{
    static const struct {
        const char *type;
        AdminError error;
    } cases[] = {
        { "QubesVMNotRunningError", ADMIN_ERROR_NOT_RUNNING },
        { "QubesVMNotFoundError", ADMIN_ERROR_NO_SUCH_QUBE },
        { "DeviceAlreadyAttached", ADMIN_ERROR_ALREADY_ATTACHED },
        { "DeviceNotAssigned", ADMIN_ERROR_NOT_ATTACHED },
        { "QubesValueError", ADMIN_ERROR_VALUE },
        { "ProtocolError", ADMIN_ERROR_PROTOCOL },
        { "PermissionDenied", ADMIN_ERROR_PERMISSION },
        { "USBProxyNotInstalled", ADMIN_ERROR_USB_PROXY },
        { "QubesVMNotStartedError", ADMIN_ERROR_NOT_STARTED },
        /* what makes no difference to us */
        { "QubesException", ADMIN_ERROR_OTHER },
        { "QubesVMError", ADMIN_ERROR_OTHER },
        { "QubesMemoryError", ADMIN_ERROR_OTHER },
        { "QubesVMNotHaltedError", ADMIN_ERROR_OTHER },
        { "QubesUSBException", ADMIN_ERROR_OTHER },
        { "QubesNoSuchPropertyError", ADMIN_ERROR_OTHER },
        { "", ADMIN_ERROR_OTHER },
        { "ProtocolErro", ADMIN_ERROR_OTHER },
        { "ProtocolError2", ADMIN_ERROR_OTHER },
        { "protocolerror", ADMIN_ERROR_OTHER },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char bytes[256], detail[256];
        size_t len = (size_t) snprintf(bytes, sizeof(bytes), "2%c%s%c%cwhy%c",
                                       '\0', cases[i].type, '\0', '\0', '\0');
        AdminAnswer answer = decode(ADMIN_ATTACH, bytes, len);

        (void) snprintf(detail, sizeof(detail), "%s: why", cases[i].type);
        assert_int_equal(answer.result, ADMIN_EXCEPTION);
        assert_int_equal(answer.error, cases[i].error);
        assert_string_equal(answer.detail, detail);
    }
}

static void test_an_exception_keeps_the_words_of_the_wire(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *detail;
    } cases[] = {
        { BYTES("2\0DeviceNotAssigned\0\0'block device sda not attached to "
                "work'\0"),
          "DeviceNotAssigned: 'block device sda not attached to work'" },
        { BYTES("2\0QubesVMNotFoundError\0Traceback\n  x\0No such domain: "
                "'nosuch'\0"),
          "QubesVMNotFoundError: No such domain: 'nosuch'" },
        { BYTES("2\0QubesException\0\0\0"), "QubesException" },
        /* the message may hold what the device says: it is escaped */
        { BYTES("2\0QubesException\0\0a\033[2Jb\nc\\\377\0"),
          "QubesException: a\\u{1b}[2Jb\\nc\\\\\\xff" },
        { BYTES("2\0Qubes\nException\0\0why\0more\0"),
          "Qubes\\nException: why" },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AdminAnswer answer = decode(ADMIN_ATTACH, cases[i].bytes, cases[i].len);

        assert_int_equal(answer.result, ADMIN_EXCEPTION);
        assert_string_equal(answer.detail, cases[i].detail);
    }
}

static void test_a_long_exception_is_cut(void **state)
{
    static char bytes[4096];

    (void) state;

    /* first the message is too long, then the type, too */
    for (size_t type_len = 1; type_len <= 512; type_len += 1) {
        AdminAnswer answer;
        size_t len = 0;

        bytes[len++] = '2';
        bytes[len++] = '\0';
        memset(bytes + len, 'T', type_len);
        len += type_len;
        bytes[len++] = '\0';
        bytes[len++] = '\0';
        memset(bytes + len, 'm', 2000);
        len += 2000;
        bytes[len++] = '\0';
        answer = decode(ADMIN_ATTACH, bytes, len);
        assert_int_equal(answer.result, ADMIN_EXCEPTION);
        assert_true(strlen(answer.detail) <= ADMIN_DETAIL_MAX);
        assert_true(strlen(answer.detail) + 4 >= ADMIN_DETAIL_MAX);
    }
}

static void test_a_call_that_failed_holds_nothing_but_why(void **state)
{
    AdminAnswer answer;

    (void) state;

    memset(&answer, 0xff, sizeof(answer));
    admin_fail(&answer, ADMIN_UNREACHABLE, "nobody is there");
    assert_int_equal(answer.result, ADMIN_UNREACHABLE);
    assert_string_equal(answer.detail, "nobody is there");
    assert_false(answer.listing.listed);
    assert_false(answer.listing.has_identity);
    assert_string_equal(answer.qube.s, "");
    assert_string_equal(answer.value.s, "");
}

static void test_the_power_state_is_read(void **state)
{
    static const struct {
        const char *word;
        PowerState power;
    } cases[] = {
        { "Halted", POWER_HALTED },       { "Transient", POWER_TRANSIENT },
        { "Running", POWER_RUNNING },     { "Paused", POWER_PAUSED },
        { "Suspended", POWER_SUSPENDED }, { "Halting", POWER_HALTING },
        { "Dying", POWER_DYING },         { "Crashed", POWER_CRASHED },
        { "Flying", POWER_UNKNOWN },      { "", POWER_UNKNOWN },
        { "running", POWER_UNKNOWN },     { "Run", POWER_UNKNOWN },
        { "Running2", POWER_UNKNOWN },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t form = 0; form < 2; form++) {
            char bytes[256] = "0";
            size_t len = 2;
            AdminAnswer answer;

            len += (size_t) snprintf(bytes + 2, sizeof(bytes) - 2,
                                     form == 0 ? "mem=409600 cputime=1 "
                                                 "power_state=%s"
                                               : "power_state=%s mem=409600",
                                     cases[i].word);
            answer = decode(ADMIN_CURRENT_STATE, bytes, len);
            assert_int_equal(answer.result, ADMIN_OK);
            assert_int_equal(answer.power, cases[i].power);
        }
    }
    assert_int_equal(decode(ADMIN_CURRENT_STATE, BYTES("0\0")).result,
                     ADMIN_GARBAGE);
    assert_int_equal(
        decode(ADMIN_CURRENT_STATE, BYTES("0\0mem=1 power_stat")).result,
        ADMIN_GARBAGE);
}

static void test_every_power_state_has_its_word(void **state)
{
    (void) state;

    for (PowerState power = POWER_HALTED; power <= POWER_CRASHED; power++) {
        const char *word = power_state_to_string(power);

        assert_int_equal(power_state_from_string(word, strlen(word)), power);
    }
    assert_non_null(power_state_to_string(POWER_UNKNOWN));
}

static void test_a_new_disposable_is_a_qube_name_or_garbage(void **state)
{
    AdminAnswer answer = decode(ADMIN_CREATE_DISPOSABLE, BYTES("0\0disp3304"));

    (void) state;

    assert_int_equal(answer.result, ADMIN_OK);
    assert_string_equal(answer.qube.s, "disp3304");
    assert_int_equal(decode(ADMIN_CREATE_DISPOSABLE, BYTES("0\0")).result,
                     ADMIN_GARBAGE);
    answer = decode(ADMIN_CREATE_DISPOSABLE, BYTES("0\0disp 3304"));
    assert_int_equal(answer.result, ADMIN_GARBAGE);
    assert_string_equal(answer.qube.s, "");
    assert_int_equal(
        decode(ADMIN_CREATE_DISPOSABLE, BYTES("0\0disp3304\n")).result,
        ADMIN_GARBAGE);
    assert_int_equal(
        decode(ADMIN_CREATE_DISPOSABLE, BYTES("0\0disp3304\0")).result,
        ADMIN_GARBAGE);
}

static void test_a_property_is_taken_if_it_is_plain(void **state)
{
    static const struct {
        const char *text;
        const char *value;
    } cases[] = {
        { "default=True type=vm dom0", "dom0" },
        { "default=False type=vm sys-gui", "sys-gui" },
        { "default=True type=vm ", "" },
        { "default=False type=label red", "red" },
        { "default=True type=str appvm-red", "appvm-red" },
        { "default=True type=int 5", "5" },
        { "default=True type=bool True", "True" },
        { "default=True type=str a b", "" },
        { "default=True type=str a\nb", "" },
        { "default=True type=str ../../x", "" },
        { "default=True type=str \"quoted\"", "" },
    };
    char bytes[256] = "0";
    size_t len;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AdminAnswer answer;

        len = 2 + (size_t) snprintf(bytes + 2, sizeof(bytes) - 2, "%s",
                                    cases[i].text);
        answer = decode(ADMIN_PROPERTY_GET, bytes, len);
        assert_int_equal(answer.result, ADMIN_OK);
        assert_string_equal(answer.value.s, cases[i].value);
    }
}

static void test_each_byte_of_a_property_is_looked_at(void **state)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    char bytes[] = "0\0default=True type=str a?b";
    char *byte = bytes + sizeof(bytes) - 3;

    (void) state;

    for (int c = 0; c < 256; c++) {
        bool is_plain = c != 0 && strchr(plain, c);
        AdminAnswer answer;

        *byte = (char) c;
        answer = decode(ADMIN_PROPERTY_GET, bytes, sizeof(bytes) - 1);
        assert_int_equal(answer.result, ADMIN_OK);
        assert_string_equal(answer.value.s, is_plain ? byte - 1 : "");
    }
}

static void test_a_property_value_may_be_so_long(void **state)
{
    static const char start[] = "0\0default=True type=str ";
    char bytes[sizeof(start) + ADMIN_VALUE_MAX + 1];

    (void) state;

    for (size_t n = ADMIN_VALUE_MAX; n <= ADMIN_VALUE_MAX + 1; n++) {
        AdminAnswer answer;

        memcpy(bytes, start, sizeof(start) - 1);
        memset(bytes + sizeof(start) - 1, 'v', n);
        answer = decode(ADMIN_PROPERTY_GET, bytes, sizeof(start) - 1 + n);
        assert_int_equal(answer.result, ADMIN_OK);
        assert_int_equal(strlen(answer.value.s),
                         n <= ADMIN_VALUE_MAX ? ADMIN_VALUE_MAX : 0);
    }
}

static void test_a_property_without_its_form_is_garbage(void **state)
{
    static const char *const texts[] = { "", "dom0", "default=True",
                                         "default=True type=vm", "type=vm x" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char bytes[64] = "0";

        memcpy(bytes + 2, texts[i], strlen(texts[i]));
        assert_int_equal(
            decode(ADMIN_PROPERTY_GET, bytes, 2 + strlen(texts[i])).result,
            ADMIN_GARBAGE);
    }
}

static void test_every_method_has_the_deadline_of_the_design(void **state)
{
    (void) state;

    assert_int_equal(admin_deadline_usec(ADMIN_AVAILABLE), 10 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_ATTACHED), 10 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_LIST), 10 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_CURRENT_STATE),
                     10 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_PROPERTY_GET),
                     10 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_ATTACH), 60 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_DETACH), 60 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_KILL), 60 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_START), 300 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_CREATE_DISPOSABLE),
                     300 * USEC_PER_SEC);
    assert_int_equal(admin_deadline_usec(ADMIN_EVENTS), UINT64_MAX);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods_without_argument_are_a_header_and_a_nul),
        cmocka_unit_test(test_a_property_is_the_argument),
        cmocka_unit_test(test_devices_are_asked_for_by_class),
        cmocka_unit_test(test_an_attach_without_identity_names_the_port_only),
        cmocka_unit_test(test_an_identity_is_sent_with_plus_for_colon),
        cmocka_unit_test(test_a_usb_attach_has_no_payload),
        cmocka_unit_test(test_options_are_quoted_and_follow_the_header),
        cmocka_unit_test(test_the_longest_request_fits),
        cmocka_unit_test(test_no_byte_at_all_is_an_empty_answer),
        cmocka_unit_test(test_success_may_have_no_data),
        cmocka_unit_test(test_what_has_no_form_is_garbage),
        cmocka_unit_test(test_every_exception_is_told_by_its_type),
        cmocka_unit_test(test_an_exception_keeps_the_words_of_the_wire),
        cmocka_unit_test(test_a_long_exception_is_cut),
        cmocka_unit_test(test_a_call_that_failed_holds_nothing_but_why),
        cmocka_unit_test(test_the_power_state_is_read),
        cmocka_unit_test(test_every_power_state_has_its_word),
        cmocka_unit_test(test_a_new_disposable_is_a_qube_name_or_garbage),
        cmocka_unit_test(test_a_property_is_taken_if_it_is_plain),
        cmocka_unit_test(test_each_byte_of_a_property_is_looked_at),
        cmocka_unit_test(test_a_property_value_may_be_so_long),
        cmocka_unit_test(test_a_property_without_its_form_is_garbage),
        cmocka_unit_test(test_every_method_has_the_deadline_of_the_design),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
