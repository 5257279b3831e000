/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "dom0/wire/admin.h"
#include "tests/support/test.h"

#define DEVID "0781:5581:4C53:u080650"

static AdminRequest request_of(AdminMethod method, const char *port)
{
    AdminRequest request = { .method = method,
                             .dest = { "work" },
                             .backend = { "sys-usb" } };

    request.class = device_name_parse_any(&request.port, port, strlen(port));
    assert_int_not_equal(request.class, DEVICE_CLASS_INVALID);
    return request;
}

static AdminAnswer decode(AdminMethod method,
                          const char *port,
                          const char *data)
{
    AdminRequest request = request_of(method, port);
    char bytes[8192] = "0";
    AdminAnswer answer;

    assert_true(strlen(data) + 2 < sizeof(bytes));
    memcpy(bytes + 2, data, strlen(data));
    admin_decode(&answer, &request, bytes, 2 + strlen(data));
    return answer;
}

static AdminAnswer available(const char *data)
{
    return decode(ADMIN_AVAILABLE, "sda", data);
}

static void expect_free(const AdminAnswer *answer, const char *identity)
{
    assert_int_equal(answer->result, ADMIN_OK);
    assert_true(answer->listing.listed);
    assert_true(answer->listing.has_identity);
    assert_string_equal(answer->listing.identity.s, identity);
    assert_int_equal(answer->listing.attachment, ATTACHMENT_NONE);
    assert_string_equal(answer->listing.attached_to.s, "");
    assert_false(answer->old_release);
}

/* Who has it is not believed. */
static void expect_only_identity(const AdminAnswer *answer,
                                 const char *identity)
{
    assert_int_equal(answer->result, ADMIN_OK);
    assert_true(answer->listing.listed);
    assert_true(answer->listing.has_identity);
    assert_string_equal(answer->listing.identity.s, identity);
    assert_int_equal(answer->listing.attachment, ATTACHMENT_UNKNOWN);
    assert_string_equal(answer->listing.attached_to.s, "");
}

/* It is there, and nothing else of it is believed. */
static void expect_unknown(const AdminAnswer *answer)
{
    assert_int_equal(answer->result, ADMIN_OK);
    assert_true(answer->listing.listed);
    assert_false(answer->listing.has_identity);
    assert_string_equal(answer->listing.identity.s, "");
    assert_int_equal(answer->listing.attachment, ATTACHMENT_UNKNOWN);
    assert_string_equal(answer->listing.attached_to.s, "");
}

static void test_a_line_of_the_wire_is_read(void **state)
{
    AdminAnswer answer = available(
        "sda:" DEVID " device_id='" DEVID "' port_id='sda' devclass='block' "
        "backend_domain='sys-usb' manufacturer='sub-device of sys-usb:2-1' "
        "name='DATA' serial='SanDisk Ultra' interfaces='b******' "
        "parent_port_id='2-1' parent_devclass='usb'\n");

    (void) state;

    expect_free(&answer, "0781:5581:4C53:u080650");
}

static void test_an_unknown_port_is_an_empty_listing(void **state)
{
    AdminAnswer answer = available("");

    (void) state;

    assert_int_equal(answer.result, ADMIN_OK);
    assert_false(answer.listing.listed);
    assert_false(answer.listing.has_identity);
    assert_false(answer.old_release);
}

static void test_an_attachment_names_its_qube(void **state)
{
    AdminAnswer answer = available("sda:" DEVID " device_id='" DEVID
                                   "' attachment='work' port_id='sda'\n");

    (void) state;

    assert_true(answer.listing.listed);
    assert_true(answer.listing.has_identity);
    assert_int_equal(answer.listing.attachment, ATTACHMENT_QUBE);
    assert_string_equal(answer.listing.attached_to.s, "work");
}

static void test_keys_may_come_in_any_order(void **state)
{
    static const char *const pairs[] = { "device_id='" DEVID "'",
                                         "port_id='sda'", "name='a b'",
                                         "attachment='work'" };

    (void) state;

    for (size_t n = 0; n < 4 * 4 * 4 * 4; n++) {
        size_t order[4] = { n % 4, n / 4 % 4, n / 16 % 4, n / 64 };
        size_t seen = 0;
        AdminAnswer answer;
        char line[512];

        for (size_t i = 0; i < 4; i++)
            seen |= (size_t) 1 << order[i];
        (void) snprintf(line, sizeof(line), "sda:%s %s %s %s %s\n", DEVID,
                        pairs[order[0]], pairs[order[1]], pairs[order[2]],
                        pairs[order[3]]);
        answer = available(line);
        if (seen != 15) { /* a key comes twice: tampered with */
            size_t n_ids = 0;

            for (size_t i = 0; i < 4; i++)
                n_ids += order[i] == 0;
            if (n_ids == 1)
                expect_only_identity(&answer, DEVID);
            else
                expect_unknown(&answer);
            continue;
        }
        assert_true(answer.listing.has_identity);
        assert_string_equal(answer.listing.attached_to.s, "work");
    }
}

static void test_lines_of_other_ports_say_nothing(void **state)
{
    static const char line[] = " device_id='" DEVID "' port_id='sda'\n";
    static const char *const others[] = { "sda1", "sd",  "sdab",
                                          "asda", "SDA", "sys-usb+sda" };
    char data[512];

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        AdminAnswer answer;

        (void) snprintf(data, sizeof(data), "%s:%s%s", others[i], DEVID, line);
        answer = available(data);
        assert_int_equal(answer.result, ADMIN_OK);
        assert_false(answer.listing.listed);

        /* before and behind the line that is meant */
        (void) snprintf(data, sizeof(data), "%s:%s%ssda:%s%s%s:%s%s", others[i],
                        DEVID, line, DEVID, line, others[i], DEVID, line);
        answer = available(data);
        expect_free(&answer, "0781:5581:4C53:u080650");
    }
}

static void test_two_lines_of_one_port_are_garbage(void **state)
{
    AdminAnswer answer = available("sda:" DEVID " device_id='" DEVID "'\n"
                                   "sda:" DEVID " device_id='" DEVID "'\n");

    (void) state;

    assert_int_equal(answer.result, ADMIN_GARBAGE);
    assert_false(answer.listing.listed);
    assert_false(answer.listing.has_identity);
}

static void test_an_answer_cut_within_a_line_is_garbage(void **state)
{
    static const char line[] =
        "sda:" DEVID " device_id='" DEVID "' port_id='sda'";
    char data[sizeof(line)];

    (void) state;

    for (size_t n = 1; n < sizeof(line); n++) {
        AdminAnswer answer;

        memcpy(data, line, n);
        data[n] = '\0';
        answer = available(data);
        assert_int_equal(answer.result, ADMIN_GARBAGE);
        assert_false(answer.listing.listed);
    }
}

/* Without an identity that can be told nothing is believed. */
static void test_a_line_that_was_tampered_with_is_unknown(void **state)
{
    static const char *const lines[] = {
        /* one that forges the end of itself and what follows */
        "sda:1:2:A device_id='1:2:A' k=' device_id='1:2:A device_id=\\'1:2:A"
        "\\' k=\\''",
        "sda:" DEVID " device_id='" DEVID "' name=' device_id='",
        "sda:0781:5581:a\\ device_id='0781:5581:a\\' port_id='sda'",
        /* the identity before and the one behind differ */
        "sda:" DEVID " device_id='0781:5581:4C53:u08065'",
        "sda:" DEVID " device_id='0781:5581:4C53:u0806500'",
        "sda:" DEVID " device_id=''",
        "sda:0781:5581:x device_id='" DEVID "'",
        /* without an identity */
        "sda:" DEVID " port_id='sda'",
        "sda:" DEVID,
        "sda:",
        "sda: device_id=' '",
        "sda:" DEVID " device_id=\"" DEVID "\"",
        "sda:" DEVID "device_id='" DEVID "'",
        /* twice */
        "sda:" DEVID " device_id='" DEVID "' device_id='" DEVID "'",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        char data[1024];
        AdminAnswer answer;

        (void) snprintf(data, sizeof(data), "%s\n", lines[i]);
        answer = available(data);
        if (answer.listing.has_identity)
            print_message("%s\n", lines[i]);
        expect_unknown(&answer);
    }
}

/* What a device calls itself can spoil its line, but not what stands before. */
static void test_a_spoilt_line_has_its_identity(void **state)
{
    static const char *const rests[] = {
        /* backslashes at the end of values, to swallow what follows */
        " device_id='" DEVID "' name='x\\' attachment='work'",
        " name='x\\' serial=' attachment=' device_id='" DEVID "'",
        " device_id='" DEVID "' name='a' b' port_id='sda'",
        /* another port */
        " device_id='" DEVID "' port_id='sdb'",
        /* not of the form */
        " device_id='" DEVID "' ",
        "  device_id='" DEVID "'",
        " device_id='" DEVID "'name='x'",
        " device_id='" DEVID "' name='x",
        " device_id='" DEVID "' name=x",
        " device_id='" DEVID "' name='x\\'",
        " device_id='" DEVID "' ='x'",
        " device_id='" DEVID "' na me='x'",
        " device_id='" DEVID "' NAME='x'",
        " device_id='" DEVID "' name",
        " device_id='" DEVID "' name=",
        " device_id='" DEVID "' name='",
        /* twice */
        " device_id='" DEVID "' attachment='a' attachment='b'",
        " device_id='" DEVID "' x='' x=''",
        /* who has it is no qube */
        " device_id='" DEVID "' attachment='no qube'",
        " device_id='" DEVID "' attachment=''",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(rests); i++) {
        char data[1024];
        AdminAnswer answer;

        (void) snprintf(data, sizeof(data), "sda:%s%s\n", DEVID, rests[i]);
        answer = available(data);
        if (answer.listing.attachment != ATTACHMENT_UNKNOWN ||
            !answer.listing.has_identity)
            print_message("%s\n", rests[i]);
        expect_only_identity(&answer, DEVID);
    }
}

static void test_an_identity_may_hold_what_looks_like_the_rest(void **state)
{
    static const char *const cases[][2] = {
        { "0781:5581:a b:u0", "0781:5581:a b:u0" },
        { "0781:5581:it's:u0", "0781:5581:it\\'s:u0" },
        { "0781:5581:a\\b\\:u0", "0781:5581:a\\b\\:u0" },
        { "0781:5581:a\\'b:u0", "0781:5581:a\\\\'b:u0" },
        { "0781:5581:a' attachment='evil' x='y:u0",
          "0781:5581:a\\' attachment=\\'evil\\' x=\\'y:u0" },
        { "0781:5581:X:u080650 y:u030101", "0781:5581:X:u080650 y:u030101" },
        { "0781:5581: device_id=:u0", "0781:5581: device_id=:u0" },
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char data[1024];
        AdminAnswer answer;

        (void) snprintf(data, sizeof(data), "sda:%s x='y' device_id='%s'\n",
                        cases[i][0], cases[i][1]);
        answer = available(data);
        expect_free(&answer, cases[i][0]);
        assert_false(identity_is_safe(&answer.listing.identity));
    }
}

static void test_an_identity_that_is_not_safe_is_known_all_the_same(
    void **state)
{
    static const char *const devids[] = { "0781:5581:a+b:u0",
                                          "0781:5581:a/b",
                                          "0781:5581:\xc3\xa4",
                                          "a=b",
                                          "a,b",
                                          "?*****",
                                          "?",
                                          "*" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(devids); i++) {
        char data[256];
        AdminAnswer answer;

        (void) snprintf(data, sizeof(data), "sda:%s device_id='%s'\n",
                        devids[i], devids[i]);
        answer = available(data);
        expect_free(&answer, devids[i]);
        assert_false(identity_is_safe(&answer.listing.identity));
    }
}

/* No device has a longer one. */
static void test_a_longer_identity_is_not_known(void **state)
{
    (void) state;

    for (size_t n = IDENTITY_MAX; n <= IDENTITY_MAX + 1; n++) {
        char devid[IDENTITY_MAX + 2] = "", data[4096];
        AdminAnswer answer;

        memset(devid, 'a', n);
        (void) snprintf(data, sizeof(data), "sda:%s device_id='%s'\n", devid,
                        devid);
        answer = available(data);
        if (n == IDENTITY_MAX)
            expect_free(&answer, devid);
        else
            expect_unknown(&answer);
    }
}

static void test_what_a_device_says_of_itself_may_hold_anything(void **state)
{
    AdminAnswer answer =
        available("sda:" DEVID " name='it\\'s a \"stick\" = \\ \033 \xff' "
                  "device_id='" DEVID "' serial='' _odd-key='1'\n");

    (void) state;

    expect_free(&answer, "0781:5581:4C53:u080650");
}

static void test_a_line_may_have_so_many_keys_and_such_long_values(void **state)
{
    (void) state;

    /* 64 keys with device_id, values of 1023 bytes */
    for (size_t n = 63; n <= 64; n++) {
        char data[4096];
        size_t len = (size_t) snprintf(data, sizeof(data),
                                       "sda:%s device_id='%s'", DEVID, DEVID);
        AdminAnswer answer;

        for (size_t i = 0; i < n; i++)
            len +=
                (size_t) snprintf(data + len, sizeof(data) - len, " k%c%c='v'",
                                  (char) ('a' + i / 26), (char) ('a' + i % 26));
        (void) snprintf(data + len, sizeof(data) - len, "\n");
        answer = available(data);
        if (n == 63)
            expect_free(&answer, "0781:5581:4C53:u080650");
        else
            expect_only_identity(&answer, DEVID);
    }
    for (size_t n = 1023; n <= 1024; n++) {
        char data[4096];
        size_t len = (size_t) snprintf(
            data, sizeof(data), "sda:%s device_id='%s' name='", DEVID, DEVID);
        AdminAnswer answer;

        memset(data + len, 'v', n);
        memcpy(data + len + n, "'\n", 3);
        answer = available(data);
        if (n == 1023)
            expect_free(&answer, "0781:5581:4C53:u080650");
        else
            expect_only_identity(&answer, DEVID);
    }
}

static void test_attached_names_the_source_before_the_port(void **state)
{
    static const char rest[] =
        ":" DEVID " device_id='" DEVID "' port_id='sda' frontend_domain='work' "
        "_read-only='no' _frontend-dev='xvdi'\n";
    static const char *const others[] = { "sda", "sys-net+sda", "sys-usb+sda1",
                                          "sys-usb+sd", "sys-usb:sda" };
    char data[512];
    AdminAnswer answer;

    (void) state;

    (void) snprintf(data, sizeof(data), "sys-usb+sda%s", rest);
    answer = decode(ADMIN_ATTACHED, "sda", data);
    expect_free(&answer, "0781:5581:4C53:u080650");
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        (void) snprintf(data, sizeof(data), "%s%s", others[i], rest);
        answer = decode(ADMIN_ATTACHED, "sda", data);
        assert_int_equal(answer.result, ADMIN_OK);
        assert_false(answer.listing.listed);
    }
}

/* Whether another source has a device of the name, whatever ours has. */
static void test_a_namesake_is_of_the_same_name(void **state)
{
    static const char *const namesakes[] = { "sys-net+sda:x",
                                             "a+sda:1:2 port_id='sda'" };
    static const char *const others[] = { "sys-net+sda",   "sys-net+sda1:x",
                                          "sys-net+sdb:x", "sys-net+da:x",
                                          "sys-net+sd:a",  "sys-net+asda:x",
                                          "sys-net:sda:x", "sda:x",
                                          "sys-usb+sdb:x" };
    char data[512];

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(namesakes); i++) {
        (void) snprintf(data, sizeof(data), "%s\n", namesakes[i]);
        assert_true(decode(ADMIN_ATTACHED, "sda", data).listing.namesake);
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        (void) snprintf(data, sizeof(data), "%s\n", others[i]);
        assert_false(decode(ADMIN_ATTACHED, "sda", data).listing.namesake);
    }
}

static void test_usb_ports_and_weak_identities_are_read(void **state)
{
    AdminAnswer answer =
        decode(ADMIN_AVAILABLE, "2-1.4",
               "2-1.4:1050:0407::u030101 device_id='1050:0407::u030101'\n");

    (void) state;

    expect_free(&answer, "1050:0407::u030101");
    answer = decode(ADMIN_AVAILABLE, "sdb", "sdb::None device_id=':None'\n");
    expect_free(&answer, ":None");
    answer = decode(ADMIN_AVAILABLE, "sda1",
                    "sda1:0000:0000::?******:1 "
                    "device_id='0000:0000::?******:1'\n");
    expect_free(&answer, "0000:0000::?******:1");
}

static void test_the_form_of_an_old_release_is_known(void **state)
{
    AdminAnswer answer = available("sda device_node=/dev/sda size=15376000000 "
                                   "mode=w description=SanDisk_Ultra (DATA)\n");

    (void) state;

    assert_int_equal(answer.result, ADMIN_OK);
    assert_true(answer.old_release);
    assert_false(answer.listing.listed);
    assert_string_not_equal(answer.detail, "");
    assert_false(available("sdb device_node=/dev/sdb\n").old_release);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_of_the_wire_is_read),
        cmocka_unit_test(test_an_unknown_port_is_an_empty_listing),
        cmocka_unit_test(test_an_attachment_names_its_qube),
        cmocka_unit_test(test_keys_may_come_in_any_order),
        cmocka_unit_test(test_a_spoilt_line_has_its_identity),
        cmocka_unit_test(test_lines_of_other_ports_say_nothing),
        cmocka_unit_test(test_two_lines_of_one_port_are_garbage),
        cmocka_unit_test(test_an_answer_cut_within_a_line_is_garbage),
        cmocka_unit_test(test_a_line_that_was_tampered_with_is_unknown),
        cmocka_unit_test(test_an_identity_may_hold_what_looks_like_the_rest),
        cmocka_unit_test(
            test_an_identity_that_is_not_safe_is_known_all_the_same),
        cmocka_unit_test(test_a_longer_identity_is_not_known),
        cmocka_unit_test(test_what_a_device_says_of_itself_may_hold_anything),
        cmocka_unit_test(
            test_a_line_may_have_so_many_keys_and_such_long_values),
        cmocka_unit_test(test_attached_names_the_source_before_the_port),
        cmocka_unit_test(test_a_namesake_is_of_the_same_name),
        cmocka_unit_test(test_usb_ports_and_weak_identities_are_read),
        cmocka_unit_test(test_the_form_of_an_old_release_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
