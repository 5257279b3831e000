/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/wire/record-wire.h"
#include "tests/support/test.h"

#define BOOT_ID        "0123456789abcdef0123456789abcdef"
#define HELLO(members) "{\"type\":\"hello\"," members "}"
#define GOOD_HELLO                                     \
    HELLO("\"version\":1,\"boot_id\":\"" BOOT_ID "\"," \
          "\"agent\":\"qubes-autoattach/1.0.0\"")
/* an event of seq 7; @members follow the ones that must be there */
#define EVENT(members)                                            \
    "{\"type\":\"event\",\"seq\":7,\"action\":\"add\",\"class\":" \
    "\"block\",\"device\":\"sda\"" members "}"
#define PROPERTIES(members) EVENT(",\"properties\":{" members "}")
#define TEXT_MAX            10000U

static Status decode(WireMessage *ret, const char *line, size_t len)
{
    const char *error = NULL;
    /* a copy of the exact size, so that a sanitizer sees what is beyond */
    char *copy = malloc(len ? len : 1);
    Status status;

    assert_non_null(copy);
    memcpy(copy, line, len);
    memset(ret, 0xff, sizeof(*ret));
    status = wire_decode(ret, copy, len, &error);
    free(copy);

    if (status != STATUS_INVALID) {
        static const Record none;

        assert_non_null(error);
        assert_int_equal(ret->type, WIRE_INVALID);
        assert_true(record_equal(&ret->record, &none));
    }
    return status;
}

static WireMessage good(const char *line)
{
    WireMessage message;

    if (decode(&message, line, strlen(line)) != STATUS_INVALID)
        fail_msg("refused: %s", line);
    return message;
}

static void assert_refused(const char *line, Status expected, int64_t seq)
{
    WireMessage message;
    Status status = decode(&message, line, strlen(line));

    if (status != expected || message.seq != seq)
        fail_msg("%i with seq %i: %s", (int) status, (int) message.seq, line);
}

/* @format makes a line that holds the one text */
static char *line_with(const char *format, const char *text)
{
    static const size_t size = TEXT_MAX;
    char *line = malloc(size);
    size_t n = strcspn(format, "#");

    assert_non_null(line);
    assert_true(strlen(format) + strlen(text) < size);
    (void) snprintf(line, size, "%.*s%s%s", (int) n, format, text,
                    format + n + 1);
    return line;
}

static void assert_good_with(const char *format, const char *text)
{
    _cleanup_(freep) char *line = line_with(format, text);

    (void) good(line);
}

static void assert_refused_with(const char *format, const char *text)
{
    _cleanup_(freep) char *line = line_with(format, text);

    assert_refused(line, STATUS_MALFORMED, strstr(format, "\"seq\":7") ? 7 : 0);
}

/* Every text on the wire with its limit; '#' is where the text goes. */
static const struct {
    const char *format;
    size_t max;
} texts[] = {
    { HELLO("\"version\":1,\"boot_id\":\"" BOOT_ID "\",\"agent\":\"#\""), 64 },
    { PROPERTIES("\"serial\":\"#\""), 126 },
    { PROPERTIES("\"vendor\":\"#\""), 126 },
    { PROPERTIES("\"model\":\"#\""), 126 },
    { PROPERTIES("\"path\":\"#\""), 255 },
    { PROPERTIES("\"fs_type\":\"#\""), 255 },
    { PROPERTIES("\"fs_uuid\":\"#\""), 255 },
    { PROPERTIES("\"fs_label\":\"#\""), 255 },
    { PROPERTIES("\"part_table\":\"#\""), 255 },
    { PROPERTIES("\"part_uuid\":\"#\""), 255 },
    { PROPERTIES("\"part_label\":\"#\""), 255 },
};

static void test_hello_tells_boot_and_agent(void **state)
{
    WireMessage message = good(GOOD_HELLO);

    (void) state;

    assert_int_equal(message.type, WIRE_HELLO);
    assert_int_equal(message.seq, 0);
    assert_string_equal(message.hello.boot_id.s, BOOT_ID);
    assert_string_equal(message.hello.agent, "qubes-autoattach/1.0.0");
}

static void assert_agent(const char *line, const char *wanted)
{
    char agent[RECORD_AGENT_MAX + 1];

    memset(agent, 'x', sizeof(agent));
    wire_decode_agent(agent, line, strlen(line));
    assert_string_equal(agent, wanted);
}

static void test_the_agent_of_another_version_is_text_or_nothing(void **state)
{
    (void) state;

    assert_agent(GOOD_HELLO, "qubes-autoattach/1.0.0");
    assert_agent(HELLO("\"version\":2,\"agent\":\"a\",\"more\":1"), "a");
    assert_agent(HELLO("\"version\":2"), "");
    assert_agent(HELLO("\"version\":2,\"agent\":\"\""), "");
    assert_agent(HELLO("\"version\":2,\"agent\":7"), "");
    assert_agent(HELLO("\"version\":2,\"agent\":\"\\n\""), "");
    assert_agent(HELLO("\"version\":2,\"agent\":\""
                       "0123456789012345678901234567890123456789"
                       "0123456789012345678901234\""),
                 "");
    assert_agent("{", "");
}

static void test_a_hello_that_lacks_a_key_is_malformed(void **state)
{
    static const char *const bad[] = {
        "{\"type\":\"hello\"}",
        HELLO("\"boot_id\":\"" BOOT_ID "\",\"agent\":\"a\""),
        HELLO("\"version\":1,\"agent\":\"a\""),
        HELLO("\"version\":1,\"boot_id\":\"" BOOT_ID "\""),
        HELLO("\"version\":1,\"boot_id\":\"" BOOT_ID "\",\"agent\":\"a\","
              "\"more\":1"),
        HELLO("\"version\":1,\"boot_id\":\"" BOOT_ID "\",\"agent\":null"),
        HELLO("\"version\":1,\"boot_id\":\"" BOOT_ID "\",\"agent\":[\"a\"]"),
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(bad[i], STATUS_MALFORMED, 0);
}

static void test_another_version_is_told_as_such(void **state)
{
    static const char *const others[] = {
        HELLO("\"version\":0"),
        HELLO("\"version\":2"),
        HELLO("\"version\":-1"),
        HELLO("\"version\":9223372036854775807"),
        HELLO("\"version\":4294967297"),
        HELLO("\"version\":2,\"key_of_version_2\":{}"),
    };
    static const char *const none[] = {
        HELLO("\"version\":1.0"),  HELLO("\"version\":\"1\""),
        HELLO("\"version\":null"), HELLO("\"version\":true"),
        HELLO("\"version\":[1]"),  HELLO("\"version\":1e0"),
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_refused(others[i], STATUS_UNSUPPORTED_VERSION, 0);
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_refused(none[i], STATUS_MALFORMED, 0);
}

static void test_a_boot_id_is_32_hex_digits(void **state)
{
    static const char format[] =
        HELLO("\"version\":1,\"boot_id\":\"#\",\"agent\":\"a\"");
    static const char *const bad[] = {
        "",
        "0123456789abcdef0123456789abcde",
        BOOT_ID "0",
        "0123456789abcdef0123456789abcdeg",
        "01234567-89ab-cdef-0123-456789abcdef",
        "0123456789abcdef0123456789abcd\u00e9",
    };

    (void) state;

    assert_good_with(format, "ffffffffffffffffffffffffffffffff");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused_with(format, bad[i]);
}

static void test_boot_ids_are_equal_whatever_their_case(void **state)
{
    BootId a, b, c;

    (void) state;

    assert_true(boot_id_parse(&a, "0123456789abcdef0123456789abcdef", 32));
    assert_true(boot_id_parse(&b, "0123456789ABCDEF0123456789ABCDEF", 32));
    assert_true(boot_id_parse(&c, "1123456789abcdef0123456789abcdef", 32));
    assert_true(boot_id_equal(&a, &b));
    assert_false(boot_id_equal(&a, &c));
}

static void test_an_event_tells_all_it_holds(void **state)
{
    WireMessage message = good(
        "{\"type\":\"event\",\"seq\":3,\"action\":\"present\",\"class\":"
        "\"block\",\"device\":\"sda1\",\"parent\":\"sda\",\"properties\":{"
        "\"vendor_id\":\"0781\",\"product_id\":\"5581\",\"revision\":\"01aB\","
        "\"serial\":\"4C53\",\"vendor\":\"SanDisk\",\"model\":\"Ultra \u20ac\","
        "\"interfaces\":[\"080650\",\"03FF00\"],\"path\":\"pci-0:1\","
        "\"devtype\":\"partition\",\"partition\":1,\"fs_type\":\"vfat\","
        "\"fs_uuid\":\"3F2A-91C0\",\"fs_label\":\"BACK\\\"UP\","
        "\"part_table\":\"gpt\",\"part_uuid\":\"aa\",\"part_label\":\"bb\","
        "\"size\":15376000000,\"removable\":true,\"read_only\":false,"
        "\"diskseq\":12}}");
    const Record *record = &message.record;
    const Properties *properties = &record->properties;

    (void) state;

    assert_int_equal(message.type, WIRE_EVENT);
    assert_int_equal(message.seq, 3);
    assert_int_equal(record->action, RECORD_PRESENT);
    assert_int_equal(record->class, DEVICE_CLASS_BLOCK);
    assert_string_equal(record->device.s, "sda1");
    assert_int_equal(record->parent_class, DEVICE_CLASS_BLOCK);
    assert_string_equal(record->parent.s, "sda");
    for (size_t i = 0; i < N_PROPERTIES; i++)
        assert_true(properties_have(properties, (PropertyKey) i));
    assert_string_equal(properties->vendor_id, "0781");
    assert_string_equal(properties->product_id, "5581");
    assert_string_equal(properties->revision, "01aB");
    assert_string_equal(properties->serial, "4C53");
    assert_string_equal(properties->vendor, "SanDisk");
    assert_string_equal(properties->model, "Ultra \u20ac");
    assert_int_equal(properties->n_interfaces, 2);
    assert_string_equal(properties->interfaces[0].s, "080650");
    assert_string_equal(properties->interfaces[1].s, "03FF00");
    assert_string_equal(properties->path, "pci-0:1");
    assert_int_equal(properties->devtype, DEVICE_TYPE_PARTITION);
    assert_int_equal(properties->partition, 1);
    assert_string_equal(properties->fs_type, "vfat");
    assert_string_equal(properties->fs_uuid, "3F2A-91C0");
    assert_string_equal(properties->fs_label, "BACK\"UP");
    assert_string_equal(properties->part_table, "gpt");
    assert_string_equal(properties->part_uuid, "aa");
    assert_string_equal(properties->part_label, "bb");
    assert_int_equal(properties->size, 15376000000);
    assert_true(properties->removable);
    assert_false(properties->read_only);
    assert_int_equal(properties->diskseq, 12);
}

static void test_parent_and_properties_may_be_left_out(void **state)
{
    WireMessage message = good(EVENT(""));

    (void) state;

    assert_int_equal(message.type, WIRE_EVENT);
    assert_int_equal(message.record.parent_class, DEVICE_CLASS_INVALID);
    assert_int_equal(message.record.properties.present, 0);
    message = good(PROPERTIES(""));
    assert_int_equal(message.record.properties.present, 0);
}

static void test_synced_has_no_keys_of_its_own(void **state)
{
    (void) state;

    assert_int_equal(good("{\"type\":\"synced\"}").type, WIRE_SYNCED);
    assert_refused("{\"type\":\"synced\",\"seq\":4}", STATUS_MALFORMED, 4);
    assert_refused("{\"type\":\"synced\",\"version\":1}", STATUS_MALFORMED, 0);
}

static void test_there_are_three_types(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"type\":\"\"}",
        "{\"type\":\"Event\"}",
        "{\"type\":\"events\"}",
        "{\"type\":null}",
        "{\"type\":1}",
        "{\"type\":[\"synced\"]}",
        "{\"Type\":\"synced\"}",
        "{\"code\":200,\"status\":\"attached\"}",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(bad[i], STATUS_MALFORMED, 0);
}

static void test_an_event_that_lacks_a_key_is_malformed(void **state)
{
    (void) state;

    assert_refused("{\"type\":\"event\",\"seq\":7,\"class\":\"block\","
                   "\"device\":\"sda\"}",
                   STATUS_MALFORMED, 7);
    assert_refused("{\"type\":\"event\",\"seq\":7,\"action\":\"add\","
                   "\"device\":\"sda\"}",
                   STATUS_MALFORMED, 7);
    assert_refused("{\"type\":\"event\",\"seq\":7,\"action\":\"add\","
                   "\"class\":\"block\"}",
                   STATUS_MALFORMED, 7);
    assert_refused("{\"type\":\"event\",\"action\":\"add\","
                   "\"class\":\"block\",\"device\":\"sda\"}",
                   STATUS_MALFORMED, 0);
    assert_refused("{\"seq\":7,\"action\":\"add\","
                   "\"class\":\"block\",\"device\":\"sda\"}",
                   STATUS_MALFORMED, 7);
}

static void test_unknown_keys_are_refused_everywhere(void **state)
{
    static const char *const keys[] = {
        "",       "Serial", "serial ", "ID_SERIAL", "target",  "rule",
        "source", "type",   "seq",     "vendor-id", "\\u00e9",
    };

    (void) state;

    assert_refused(EVENT(",\"target\":\"vault\""), STATUS_MALFORMED, 7);
    assert_refused(EVENT(",\"source\":\"work\""), STATUS_MALFORMED, 7);
    assert_refused(EVENT(",\"version\":1"), STATUS_MALFORMED, 7);
    assert_refused(EVENT(",\"\":1"), STATUS_MALFORMED, 7);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_refused_with(PROPERTIES("\"#\":\"x\""), keys[i]);
}

static void test_duplicate_keys_are_refused_everywhere(void **state)
{
    (void) state;

    assert_refused(EVENT(",\"seq\":7"), STATUS_MALFORMED, 0);
    assert_refused(EVENT(",\"device\":\"sda\""), STATUS_MALFORMED, 0);
    assert_refused(PROPERTIES("\"serial\":\"a\",\"serial\":\"a\""),
                   STATUS_MALFORMED, 0);
    assert_refused(PROPERTIES("\"serial\":\"a\",\"seri\\u0061l\":\"b\""),
                   STATUS_MALFORMED, 0);
    assert_refused("{\"type\":\"synced\",\"type\":\"synced\"}",
                   STATUS_MALFORMED, 0);
}

static void test_actions_and_classes_are_words_of_their_lists(void **state)
{
    static const char action[] =
        "{\"type\":\"event\",\"seq\":7,\"action\":#,\"class\":\"block\","
        "\"device\":\"sda\"}";
    static const char class[] =
        "{\"type\":\"event\",\"seq\":7,\"action\":\"add\",\"class\":#,"
        "\"device\":\"sda\"}";
    static const char *const actions[] = {
        "\"present\"",
        "\"add\"",
        "\"change\"",
        "\"remove\"",
    };
    static const char *const bad[] = {
        "\"\"", "\"bind\"", "\"Add\"",   "\"add \"",
        "null", "1",        "[\"add\"]", "true",
        "{}",   "\"any\"",  "\"pci\"",   "\"invalid\"",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        assert_good_with(action, actions[i]);
    assert_good_with(class, "\"block\"");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_refused_with(action, bad[i]);
        assert_refused_with(class, bad[i]);
    }
}

static void test_device_names_are_those_of_their_class(void **state)
{
    static const char block[] =
        "{\"type\":\"event\",\"seq\":7,\"action\":\"add\",\"class\":"
        "\"block\",\"device\":#}";
    static const char usb[] =
        "{\"type\":\"event\",\"seq\":7,\"action\":\"add\",\"class\":"
        "\"usb\",\"device\":#}";
    static const char *const bad[] = {
        "\"\"",
        "\"sd a\"",
        "\"sda/\"",
        "\"..\"",
        "\"../sda\"",
        "\"sda\\n\"",
        "\"SDA\"",
        "\"sda+b\"",
        "\"\\u00e4\"",
        "null",
        "1",
        "[\"sda\"]",
        "{}",
        "true",
        "\"2-1_4\"",
        "\"/dev/sda\"",
        "\"sda\\u0000\"",
    };
    char longest[256];

    (void) state;

    assert_good_with(block, "\"sda\"");
    assert_good_with(block, "\"123456789012\"");
    assert_refused_with(block, "\"1234567890123\"");
    assert_refused_with(block, "\"2-1.4\"");
    assert_good_with(usb, "\"2-1.4\"");
    assert_good_with(usb, "\"1-12345678901234567890123456789\"");
    assert_refused_with(usb, "\"1-123456789012345678901234567890\"");
    assert_refused_with(usb, "\"sda\"");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_(freep) char *line = line_with(block, bad[i]);
        WireMessage message;

        assert_int_equal(decode(&message, line, strlen(line)),
                         STATUS_MALFORMED);
        if (!strstr(bad[i], "u0000"))
            assert_int_equal(message.seq, 7);
    }
    memset(longest, 'a', sizeof(longest));
    longest[0] = longest[201] = '"';
    longest[202] = '\0';
    assert_refused_with(block, longest);
}

static void test_a_parent_is_a_name_of_either_class(void **state)
{
    static const char format[] = EVENT(",\"parent\":#");
    static const char *const bad[] = {
        "\"\"", "\"2-1.\"", "\"sda/\"", "null", "1", "[]", "{}", "false",
    };
    WireMessage message = good(EVENT(",\"parent\":\"2-1.4\""));

    (void) state;

    assert_int_equal(message.record.parent_class, DEVICE_CLASS_USB);
    assert_string_equal(message.record.parent.s, "2-1.4");
    message = good(EVENT(",\"parent\":\"sdb\""));
    assert_int_equal(message.record.parent_class, DEVICE_CLASS_BLOCK);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused_with(format, bad[i]);
}

static void test_a_seq_is_a_whole_number_from_one(void **state)
{
    static const char format[] =
        "{\"type\":\"event\",\"seq\":#,\"action\":\"add\",\"class\":"
        "\"block\",\"device\":\"sda\"}";
    static const char *const bad[] = {
        "0",
        "-1",
        "-9223372036854775808",
        "9223372036854775808",
        "1.0",
        "1e3",
        "\"1\"",
        "null",
        "true",
        "[1]",
        "{}",
        "18446744073709551617",
    };

    (void) state;

    assert_int_equal(good(EVENT("")).seq, 7);
    assert_good_with(format, "1");
    assert_good_with(format, "9223372036854775807");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused_with(format, bad[i]);
}

static void test_a_refusal_carries_the_seq_that_could_be_read(void **state)
{
    (void) state;

    assert_refused("{\"seq\":9223372036854775807}", STATUS_MALFORMED,
                   INT64_MAX);
    assert_refused("{\"seq\":5,\"type\":\"hello\",\"version\":2}",
                   STATUS_UNSUPPORTED_VERSION, 5);
    assert_refused("{\"seq\":5,\"type\":\"nothing\"}", STATUS_MALFORMED, 5);
    assert_refused("{\"seq\":5.0,\"type\":\"nothing\"}", STATUS_MALFORMED, 0);
    assert_refused("{\"seq\":-5,\"type\":\"nothing\"}", STATUS_MALFORMED, 0);
    assert_refused("{\"seq\":5,\"type\":\"event\"", STATUS_MALFORMED, 0);
    assert_refused("[{\"seq\":5}]", STATUS_MALFORMED, 0);
}

static void test_properties_must_be_an_object(void **state)
{
    static const char *const bad[] = { "null", "[]", "1", "\"\"", "true" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused_with(EVENT(",\"properties\":#"), bad[i]);
}

static void test_texts_have_one_byte_to_their_limit(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char text[300] = {};

        memset(text, 'x', texts[i].max);
        assert_refused_with(texts[i].format, "");
        assert_good_with(texts[i].format, "x");
        assert_good_with(texts[i].format, text);
        text[texts[i].max] = 'x';
        assert_refused_with(texts[i].format, text);
        /* it is bytes that count, not characters */
        memcpy(text + texts[i].max - 1, "\u00e9", 3);
        assert_refused_with(texts[i].format, text);
        memcpy(text + texts[i].max - 2, "\u00e9", 3);
        assert_good_with(texts[i].format, text);
    }
}

static void test_control_characters_are_refused_in_every_text(void **state)
{
    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        for (unsigned int c = 0; c < 0xa1; c++) {
            bool bad = c < 0x20 || (c >= 0x7f && c < 0xa0);
            char raw[8], escaped[16];
            _cleanup_(freep) char *line = NULL, *escaped_line = NULL;
            WireMessage message;

            if (c < 0x80)
                (void) snprintf(raw, sizeof(raw), "a%cb", (char) c);
            else
                (void) snprintf(raw, sizeof(raw), "a%c%cb",
                                (char) (0xc0 | c >> 6),
                                (char) (0x80 | (c & 0x3f)));
            (void) snprintf(escaped, sizeof(escaped), "a\\u%04xb", c);
            escaped_line = line_with(texts[i].format, escaped);
            assert_int_equal(
                decode(&message, escaped_line, strlen(escaped_line)),
                bad ? STATUS_MALFORMED : STATUS_INVALID);
            /* these are syntax, or end the text */
            if (c == 0 || c == '"' || c == '\\')
                continue;
            line = line_with(texts[i].format, raw);
            assert_int_equal(decode(&message, line, strlen(line)),
                             bad ? STATUS_MALFORMED : STATUS_INVALID);
        }
}

static void test_what_is_not_utf8_is_refused_in_every_text(void **state)
{
    static const char *const bad[] = {
        "\x80",
        "\xc3",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc3(",
        "\xc0\x80",
        "\xc0\xaf",
        "\xe0\x80\xaf",
        "\xf0\x80\x80\xaf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
        "\\ud800",
        "\\udc00",
        "\\udc00\\ud800",
        "\\ud800x",
        "\\uzzzz",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
            _cleanup_(freep) char *line = line_with(texts[i].format, bad[k]);

            assert_refused(line, STATUS_MALFORMED, 0);
        }
}

static void test_texts_must_be_texts(void **state)
{
    static const char *const bad[] = { "1", "null", "true", "[\"a\"]", "{}" };

    (void) state;

    for (size_t i = 0; i < N_PROPERTIES; i++) {
        PropertyKey key = (PropertyKey) i;
        char line[256];

        if (property_form(key) == PROPERTY_FORM_INTERFACES ||
            property_form(key) == PROPERTY_FORM_NUMBER ||
            property_form(key) == PROPERTY_FORM_BOOL)
            continue;
        for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
            (void) snprintf(line, sizeof(line), PROPERTIES("\"%s\":%s"),
                            property_name(key), bad[k]);
            assert_refused(line, STATUS_MALFORMED, 7);
        }
    }
}

static void test_ids_are_four_hex_digits(void **state)
{
    static const char *const formats[] = {
        PROPERTIES("\"vendor_id\":\"#\""),
        PROPERTIES("\"product_id\":\"#\""),
        PROPERTIES("\"revision\":\"#\""),
    };
    static const char *const bad[] = {
        "", "078", "07811", "078g", "078 ", " 781", "0x78", "\u00e9\u00e9",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        assert_good_with(formats[i], "09af");
        for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
            assert_refused_with(formats[i], bad[k]);
    }
    assert_refused_with(formats[0], "09AF");
    assert_refused_with(formats[1], "09aF");
    assert_good_with(formats[2], "09AF");
}

static void test_interfaces_are_a_list_of_1_to_32_codes(void **state)
{
    static const char format[] = PROPERTIES("\"interfaces\":#");
    static const char *const bad[] = {
        "[]",
        "\"080650\"",
        "null",
        "{}",
        "[080650]",
        "[\"08065\"]",
        "[\"0806500\"]",
        "[\"08065g\"]",
        "[null]",
        "[[\"080650\"]]",
        "[\"080650\",1]",
        "[\"080650\",\"\"]",
        "[\":080650:\"]",
    };
    char list[33 * 9 + 2] = "[";

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_(freep) char *line = line_with(format, bad[i]);
        WireMessage message;

        assert_int_equal(decode(&message, line, strlen(line)),
                         STATUS_MALFORMED);
    }
    for (unsigned int i = 1; i <= 33; i++) {
        strcpy(list + 1 + (i - 1) * 9, "\"08065F\"]");
        if (i <= 32)
            assert_good_with(format, list);
        else
            assert_refused_with(format, list);
        list[i * 9] = ',';
    }
}

static void test_devtypes_are_three_words(void **state)
{
    static const char format[] = PROPERTIES("\"devtype\":\"#\"");
    static const char *const bad[] = {
        "", "Disk", "disks", "dis", "usb_interface", "usb-device", "invalid",
    };

    (void) state;

    assert_good_with(format, "disk");
    assert_good_with(format, "partition");
    assert_good_with(format, "usb_device");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused_with(format, bad[i]);
}

static void test_numbers_are_whole_and_bounded(void **state)
{
    static const struct {
        const char *format, *first, *last, *below, *above;
    } numbers[] = {
        { PROPERTIES("\"partition\":#"), "1", "255", "0", "256" },
        { PROPERTIES("\"size\":#"), "0", "9223372036854775807", "-1", NULL },
        { PROPERTIES("\"diskseq\":#"), "0", "9223372036854775807", "-1", NULL },
    };
    static const char *const bad[] = {
        "1.0",  "1e1", "1.5", "\"1\"", "null",
        "true", "[1]", "{}",  "257",   "-255",
    };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        assert_good_with(numbers[i].format, numbers[i].first);
        assert_good_with(numbers[i].format, numbers[i].last);
        assert_refused_with(numbers[i].format, numbers[i].below);
        if (numbers[i].above)
            assert_refused_with(numbers[i].format, numbers[i].above);
        for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
            if (i == 0 || strcmp(bad[k], "257") != 0)
                assert_refused_with(numbers[i].format, bad[k]);
    }
    /* beyond 64 bits nothing of the line can be read */
    assert_refused(PROPERTIES("\"size\":9223372036854775808"), STATUS_MALFORMED,
                   0);
    assert_refused(PROPERTIES("\"diskseq\":18446744073709551616"),
                   STATUS_MALFORMED, 0);
}

static void test_truths_are_true_or_false(void **state)
{
    static const char *const formats[] = {
        PROPERTIES("\"removable\":#"),
        PROPERTIES("\"read_only\":#"),
    };
    static const char *const bad[] = { "0", "1", "\"true\"", "null", "[]" };

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        assert_good_with(formats[i], "true");
        assert_good_with(formats[i], "false");
        for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
            assert_refused_with(formats[i], bad[k]);
    }
}

static void test_a_line_has_at_most_8192_bytes(void **state)
{
    char line[8193];
    WireMessage message;

    (void) state;

    memset(line, ' ', sizeof(line));
    memcpy(line, EVENT(""), strlen(EVENT("")));
    assert_int_equal(decode(&message, line, 8192), STATUS_INVALID);
    assert_int_equal(message.seq, 7);
    assert_int_equal(decode(&message, line, 8193), STATUS_TOO_LARGE);
    assert_int_equal(message.seq, 0);
}

static void test_what_is_not_one_object_is_malformed(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "x",
        "null",
        "[]",
        "\"synced\"",
        "{",
        "{\"type\":\"synced\"",
        "{\"type\":\"synced\"}x",
        "{\"type\":\"synced\"}{}",
        "{\"type\":\"synced\"},",
        "{'type':'synced'}",
        "\xef\xbb\xbf{\"type\":\"synced\"}",
    };
    WireMessage message;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_refused(bad[i], STATUS_MALFORMED, 0);
    assert_int_equal(decode(&message, "{\"type\":\"synced\"}\0", 18),
                     STATUS_MALFORMED);
}

static void test_deep_nesting_is_malformed(void **state)
{
    char line[8192];
    WireMessage message;

    (void) state;

    memset(line, '[', sizeof(line));
    assert_int_equal(decode(&message, line, sizeof(line)), STATUS_MALFORMED);
    memcpy(line, "{\"seq\":", 7);
    assert_int_equal(decode(&message, line, sizeof(line)), STATUS_MALFORMED);
    for (size_t i = 0; i + 5 <= sizeof(line); i += 5)
        memcpy(line + i, "{\"a\":", 5);
    assert_int_equal(decode(&message, line, sizeof(line)), STATUS_MALFORMED);
}

static void test_a_reason_need_not_be_asked(void **state)
{
    WireMessage message;

    (void) state;

    assert_int_equal(wire_decode(&message, "x", 1, NULL), STATUS_MALFORMED);
    assert_int_equal(wire_decode(&message, "{\"type\":\"synced\"}", 17, NULL),
                     STATUS_INVALID);
}

static void test_lines_are_written_exactly_so(void **state)
{
    WireHello hello = { .agent = "qubes-autoattach/1.0.0" };
    Record record = { .action = RECORD_ADD,
                      .class = DEVICE_CLASS_BLOCK,
                      .device = { "sda" },
                      .parent_class = DEVICE_CLASS_USB,
                      .parent = { "2-1" } };
    _cleanup_(freep) char *hello_line = NULL, *event_line = NULL;
    _cleanup_(freep) char *synced_line = NULL;
    size_t len;

    (void) state;

    strcpy(hello.boot_id.s, BOOT_ID);
    assert_int_equal(wire_encode_hello(&hello_line, &len, &hello), 0);
    assert_string_equal(hello_line, GOOD_HELLO "\n");
    assert_int_equal(len, strlen(hello_line));

    assert_true(
        properties_set_text(&record.properties, PROPERTY_SERIAL, "a\"b", 3));
    assert_true(properties_set_number(&record.properties, PROPERTY_SIZE, 512));
    assert_int_equal(wire_encode_event(&event_line, &len, 2, &record), 0);
    assert_string_equal(
        event_line,
        "{\"type\":\"event\",\"seq\":2,\"action\":\"add\",\"class\":\"block\","
        "\"device\":\"sda\",\"parent\":\"2-1\",\"properties\":{\"serial\":"
        "\"a\\\"b\",\"size\":512}}\n");
    assert_int_equal(len, strlen(event_line));

    assert_int_equal(wire_encode_synced(&synced_line, NULL), 0);
    assert_string_equal(synced_line, "{\"type\":\"synced\"}\n");
}

static void test_the_largest_record_fits_into_one_line(void **state)
{
    Record record = { .action = RECORD_PRESENT,
                      .class = DEVICE_CLASS_USB,
                      .device = { "1-12345678901234567890123456789" },
                      .parent_class = DEVICE_CLASS_USB,
                      .parent = { "1-12345678901234567890123456789" } };
    Properties *properties = &record.properties;
    _cleanup_(freep) char *line = NULL;
    WireMessage message;
    char text[RECORD_LONG_MAX];
    size_t len;

    (void) state;

    /* what takes two bytes on the wire */
    memset(text, '"', sizeof(text));
    for (size_t i = 0; i < N_PROPERTIES; i++) {
        PropertyKey key = (PropertyKey) i;

        if (property_form(key) == PROPERTY_FORM_TEXT)
            assert_true(properties_set_text(properties, key, text,
                                            property_text_max(key)));
    }
    assert_true(properties_set_text(properties, PROPERTY_VENDOR_ID, "abcd", 4));
    assert_true(
        properties_set_text(properties, PROPERTY_PRODUCT_ID, "abcd", 4));
    assert_true(properties_set_text(properties, PROPERTY_REVISION, "abcd", 4));
    assert_true(
        properties_set_text(properties, PROPERTY_DEVTYPE, "usb_device", 10));
    assert_true(properties_set_number(properties, PROPERTY_PARTITION, 255));
    assert_true(properties_set_number(properties, PROPERTY_SIZE, INT64_MAX));
    assert_true(properties_set_number(properties, PROPERTY_DISKSEQ, INT64_MAX));
    properties_set_bool(properties, PROPERTY_REMOVABLE, false);
    properties_set_bool(properties, PROPERTY_READ_ONLY, false);
    while (properties_add_interface(properties, "080650", 6))
        ;

    assert_int_equal(wire_encode_event(&line, &len, INT64_MAX, &record), 0);
    assert_int_equal(decode(&message, line, len - 1), STATUS_INVALID);
    assert_true(record_equal(&message.record, &record));
}

static void assert_answer(int64_t seq, Status status, const char *expected)
{
    WireAnswer answer = { .seq = seq, .status = status }, decoded;
    _cleanup_(freep) char *line = NULL;
    size_t len;

    assert_int_equal(wire_encode_answer(&line, &len, &answer), 0);
    assert_string_equal(line, expected);
    assert_int_equal(len, strlen(expected));
    assert_true(wire_decode_answer(&decoded, line, len - 1));
    assert_int_equal(decoded.seq, seq);
    assert_int_equal(decoded.status, status);
}

static void test_answers_are_written_exactly_so(void **state)
{
    (void) state;

    assert_answer(3, STATUS_ATTACHED,
                  "{\"seq\":3,\"code\":200,\"status\":\"attached\"}\n");
    assert_answer(1, STATUS_NOT_ATTACHED,
                  "{\"seq\":1,\"code\":300,\"status\":\"not-attached\"}\n");
    assert_answer(0, STATUS_MALFORMED,
                  "{\"seq\":null,\"code\":400,\"status\":\"malformed\"}\n");
    assert_answer(INT64_MAX, STATUS_TOO_MANY,
                  "{\"seq\":9223372036854775807,\"code\":429,\"status\":"
                  "\"too-many\"}\n");
}

static void test_every_status_comes_back_from_its_answer(void **state)
{
    (void) state;

    for (size_t i = 0; i < status_count(); i++) {
        char expected[128];

        (void) snprintf(expected, sizeof(expected),
                        "{\"seq\":8,\"code\":%i,\"status\":\"%s\"}\n",
                        (int) status_at(i), status_name(status_at(i)));
        assert_answer(8, status_at(i), expected);
    }
}

static void test_what_is_no_answer_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"seq\":3,\"code\":200}",
        "{\"seq\":3,\"status\":\"attached\"}",
        "{\"code\":200,\"status\":\"attached\"}",
        "{\"seq\":0,\"code\":200,\"status\":\"attached\"}",
        "{\"seq\":-1,\"code\":200,\"status\":\"attached\"}",
        "{\"seq\":\"3\",\"code\":200,\"status\":\"attached\"}",
        "{\"seq\":3.0,\"code\":200,\"status\":\"attached\"}",
        "{\"seq\":false,\"code\":200,\"status\":\"attached\"}",
        "{\"seq\":3,\"code\":\"200\",\"status\":\"attached\"}",
        "{\"seq\":3,\"code\":200.0,\"status\":\"attached\"}",
        "{\"seq\":3,\"code\":202,\"status\":\"attached\"}",
        "{\"seq\":3,\"code\":0,\"status\":\"attached\"}",
        "{\"seq\":3,\"code\":4294967496,\"status\":\"attached\"}",
        "{\"seq\":3,\"code\":201,\"status\":\"attached\"}",
        "{\"seq\":3,\"code\":200,\"status\":\"Attached\"}",
        "{\"seq\":3,\"code\":200,\"status\":null}",
        "{\"seq\":3,\"code\":200,\"status\":\"attached\",\"target\":\"work\"}",
        "{\"seq\":3,\"seq\":3,\"code\":200,\"status\":\"attached\"}",
        "{\"seq\":3,\"code\":200,\"status\":\"attached\"} x",
    };
    static const char good_answer[] =
        "{\"seq\":3,\"code\":200,\"status\":\"attached\"}";
    char line[8193];
    WireAnswer answer;

    (void) state;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (wire_decode_answer(&answer, bad[i], strlen(bad[i])))
            fail_msg("taken: %s", bad[i]);

    memset(line, ' ', sizeof(line));
    memcpy(line, good_answer, strlen(good_answer));
    assert_true(wire_decode_answer(&answer, line, 8192));
    assert_false(wire_decode_answer(&answer, line, 8193));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_tells_boot_and_agent),
        cmocka_unit_test(test_the_agent_of_another_version_is_text_or_nothing),
        cmocka_unit_test(test_a_hello_that_lacks_a_key_is_malformed),
        cmocka_unit_test(test_another_version_is_told_as_such),
        cmocka_unit_test(test_a_boot_id_is_32_hex_digits),
        cmocka_unit_test(test_boot_ids_are_equal_whatever_their_case),
        cmocka_unit_test(test_an_event_tells_all_it_holds),
        cmocka_unit_test(test_parent_and_properties_may_be_left_out),
        cmocka_unit_test(test_synced_has_no_keys_of_its_own),
        cmocka_unit_test(test_there_are_three_types),
        cmocka_unit_test(test_an_event_that_lacks_a_key_is_malformed),
        cmocka_unit_test(test_unknown_keys_are_refused_everywhere),
        cmocka_unit_test(test_duplicate_keys_are_refused_everywhere),
        cmocka_unit_test(test_actions_and_classes_are_words_of_their_lists),
        cmocka_unit_test(test_device_names_are_those_of_their_class),
        cmocka_unit_test(test_a_parent_is_a_name_of_either_class),
        cmocka_unit_test(test_a_seq_is_a_whole_number_from_one),
        cmocka_unit_test(test_a_refusal_carries_the_seq_that_could_be_read),
        cmocka_unit_test(test_properties_must_be_an_object),
        cmocka_unit_test(test_texts_have_one_byte_to_their_limit),
        cmocka_unit_test(test_control_characters_are_refused_in_every_text),
        cmocka_unit_test(test_what_is_not_utf8_is_refused_in_every_text),
        cmocka_unit_test(test_texts_must_be_texts),
        cmocka_unit_test(test_ids_are_four_hex_digits),
        cmocka_unit_test(test_interfaces_are_a_list_of_1_to_32_codes),
        cmocka_unit_test(test_devtypes_are_three_words),
        cmocka_unit_test(test_numbers_are_whole_and_bounded),
        cmocka_unit_test(test_truths_are_true_or_false),
        cmocka_unit_test(test_a_line_has_at_most_8192_bytes),
        cmocka_unit_test(test_what_is_not_one_object_is_malformed),
        cmocka_unit_test(test_deep_nesting_is_malformed),
        cmocka_unit_test(test_a_reason_need_not_be_asked),
        cmocka_unit_test(test_lines_are_written_exactly_so),
        cmocka_unit_test(test_the_largest_record_fits_into_one_line),
        cmocka_unit_test(test_answers_are_written_exactly_so),
        cmocka_unit_test(test_every_status_comes_back_from_its_answer),
        cmocka_unit_test(test_what_is_no_answer_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
