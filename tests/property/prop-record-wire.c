/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Whatever the encoder writes the decoder reads back as the same value, and
 * whatever the decoder takes comes back from the encoder as the same value.
 */

#include <string.h>

#include "common/wire/record-wire.h"
#include "tests/support/random-record.h"
#include "tests/support/test.h"

#define N_ROUNDS      (20000U / TESTS_SHARE)
#define MUTATIONS_MAX 3U

static void test_records_come_back_as_they_were(void **state)
{
    Random random = random_begin();

    (void) state;

    for (size_t round = 0; round < N_ROUNDS; round++) {
        const uint64_t seed = random.state;
        const Record record = random_record(&random);
        const int64_t seq = 1 + (int64_t) (random_next(&random) >> 2);
        _cleanup_(freep) char *line = NULL, *again = NULL;
        WireMessage message;
        size_t len;

        if (wire_encode_event(&line, &len, seq, &record) < 0)
            fail_msg("not encoded: " RANDOM_SEED_FORMAT, seed);
        if (line[len - 1] != '\n' || memchr(line, '\n', len - 1))
            fail_msg("not one line: " RANDOM_SEED_FORMAT, seed);
        if (wire_decode(&message, line, len - 1, NULL) != STATUS_INVALID ||
            message.type != WIRE_EVENT)
            fail_msg("not decoded: " RANDOM_SEED_FORMAT, seed);
        if (message.seq != seq || !record_equal(&message.record, &record))
            fail_msg("not equal: " RANDOM_SEED_FORMAT, seed);
        if (wire_encode_event(&again, NULL, seq, &message.record) < 0 ||
            strcmp(line, again) != 0)
            fail_msg("not the same line: " RANDOM_SEED_FORMAT, seed);
    }
}

/* Change, insert, remove or repeat a few bytes. Answers the new length. */
static size_t mutate(Random *random, char *line, size_t len, size_t size)
{
    static const char likely[] =
        "\"\\{}[]:,0123456789eE+-. \n\ttrufalsn\x80\xff";

    for (size_t n = 1 + random_below(random, MUTATIONS_MAX); n > 0; n--) {
        size_t at = random_below(random, len);
        char byte = random_bool(random)
                        ? likely[random_below(random, sizeof(likely) - 1)]
                        : (char) random_below(random, 0x100);

        switch (random_below(random, 4)) {
        case 0:
            line[at] = byte;
            break;
        case 1:
            if (len == size)
                break;
            memmove(line + at + 1, line + at, len - at);
            line[at] = byte;
            len++;
            break;
        case 2:
            if (len == 1)
                break;
            memmove(line + at, line + at + 1, len - at - 1);
            len--;
            break;
        case 3:
            line[at] = line[random_below(random, len)];
            break;
        }
    }
    return len;
}

static void test_a_mutated_line_is_refused_or_has_one_meaning(void **state)
{
    Random random = random_begin();
    size_t n_taken = 0, n_refused = 0;

    (void) state;

    for (size_t round = 0; round < N_ROUNDS; round++) {
        const uint64_t seed = random.state;
        const Record record = random_record(&random);
        _cleanup_(freep) char *text = NULL, *again = NULL;
        char line[WIRE_LINE_MAX + MUTATIONS_MAX];
        WireMessage message, second;
        size_t len;

        assert_int_equal(wire_encode_event(&text, &len, 1, &record), 0);
        memcpy(line, text, len - 1);
        len = mutate(&random, line, len - 1, sizeof(line));

        if (wire_decode(&message, line, len, NULL) != STATUS_INVALID) {
            if (message.type != WIRE_INVALID)
                fail_msg("refused and set: " RANDOM_SEED_FORMAT, seed);
            n_refused++;
            continue;
        }
        n_taken++;
        if (message.type != WIRE_EVENT)
            continue;
        if (wire_encode_event(&again, &len, message.seq, &message.record) < 0 ||
            wire_decode(&second, again, len - 1, NULL) != STATUS_INVALID ||
            second.seq != message.seq ||
            !record_equal(&second.record, &message.record))
            fail_msg("another meaning: " RANDOM_SEED_FORMAT, seed);
    }
    /* else this would prove nothing */
    assert_true(n_taken > N_ROUNDS / 50);
    assert_true(n_refused > N_ROUNDS / 50);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_back_as_they_were),
        cmocka_unit_test(test_a_mutated_line_is_refused_or_has_one_meaning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
