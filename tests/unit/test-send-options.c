/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sysusb/hello.h"
#include "sysusb/options.h"
#include "tests/support/test.h"

#define ARGS(...) ((char *[]){ (char[]){ "program" }, __VA_ARGS__, NULL })
#define N(args)   ((int) (sizeof(args) / sizeof((args)[0])) - 1)
#define A(text)   ((char[]){ text })

#define send(options, ...) \
    send_options_parse((options), N(ARGS(__VA_ARGS__)), ARGS(__VA_ARGS__))
#define forward(options, ...) \
    forwarder_options_parse((options), N(ARGS(__VA_ARGS__)), ARGS(__VA_ARGS__))

static void test_the_sender_takes_devices(void **state)
{
    SendOptions options;

    (void) state;

    assert_int_equal(send(&options, A("sda"), A("2-1")), OPTIONS_RUN);
    assert_int_equal(options.n_devices, 2);
    assert_string_equal(options.devices[0], "sda");
    assert_string_equal(options.devices[1], "2-1");
    assert_string_equal(options.qrexec_client, QREXEC_CLIENT_DEFAULT);
    assert_int_equal(options.timeout_usec, 0);
    assert_false(options.export_qemu);
}

static void test_the_sender_needs_a_device(void **state)
{
    SendOptions options;

    (void) state;

    assert_int_equal(send(&options, A("--export-qemu")), OPTIONS_WRONG);
    assert_int_equal(send(&options, A("--timeout"), A("5s")), OPTIONS_WRONG);
}

static void test_options_are_read(void **state)
{
    ForwarderOptions forwarder;
    SendOptions options;

    (void) state;

    assert_int_equal(send(&options, A("--timeout=5m"), A("--export-qemu"),
                          A("--qrexec-client"), A("/x"), A("sda")),
                     OPTIONS_RUN);
    assert_int_equal(options.timeout_usec, 300000000);
    assert_true(options.export_qemu);
    assert_string_equal(options.qrexec_client, "/x");

    assert_int_equal(
        forward(&forwarder, A("--export-qemu"), A("--qrexec-client=/y")),
        OPTIONS_RUN);
    assert_true(forwarder.export_qemu);
    assert_string_equal(forwarder.qrexec_client, "/y");
}

static void test_what_is_not_known_is_refused(void **state)
{
    ForwarderOptions forwarder;
    SendOptions options;

    (void) state;

    assert_int_equal(send(&options, A("--none"), A("sda")), OPTIONS_WRONG);
    assert_int_equal(forward(&forwarder, A("--none")), OPTIONS_WRONG);
    assert_int_equal(forward(&forwarder, A("sda")), OPTIONS_WRONG);
    assert_int_equal(forward(&forwarder, A("--timeout=5s")), OPTIONS_WRONG);
}

static void test_times_have_units_and_bounds(void **state)
{
    static const char *const bad[] = {
        "",      "0",    "0s",  "s",   "5x",
        "-1",    "1.5",  "25h", "5 s", "99999999999999999",
        "86401", "1441m"
    };
    uint64_t usec;

    (void) state;

    assert_true(timeout_parse(&usec, "7"));
    assert_int_equal(usec, 7000000);
    assert_true(timeout_parse(&usec, "30s"));
    assert_int_equal(usec, 30000000);
    assert_true(timeout_parse(&usec, "2h"));
    assert_int_equal(usec, UINT64_C(7200000000));
    assert_true(timeout_parse(&usec, "24h"));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(timeout_parse(&usec, bad[i]));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sender_takes_devices),
        cmocka_unit_test(test_the_sender_needs_a_device),
        cmocka_unit_test(test_options_are_read),
        cmocka_unit_test(test_what_is_not_known_is_refused),
        cmocka_unit_test(test_times_have_units_and_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
