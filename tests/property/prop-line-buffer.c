/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * However a stream is cut into pieces, the same lines come out, and too long a
 * line is found at the same place. The model: the stream, cut at newlines.
 */

#include <string.h>

#include "common/wire/line-buffer.h"
#include "tests/support/random.h"
#include "tests/support/test.h"

#define N_ROUNDS   (20000U / TESTS_SHARE)
#define STREAM_MAX 200U
#define LINE_LIMIT 16U

typedef struct Stream {
    char bytes[STREAM_MAX];
    size_t len;
    size_t at; /* where the next line begins */
} Stream;

static Stream random_stream(Random *random)
{
    Stream stream = { .len = random_below(random, STREAM_MAX) };
    /* from one newline a byte to lines that are too long */
    size_t distance = 1 + random_below(random, 2 * LINE_LIMIT);

    for (size_t i = 0; i < stream.len; i++)
        stream.bytes[i] = random_below(random, distance) == 0
                              ? '\n'
                              : (char) random_below(random, 0x100);
    return stream;
}

/* What must come next when @n_fed bytes of the stream were fed. */
static LineResult model_next(const Stream *stream,
                             size_t n_fed,
                             size_t *ret_len)
{
    const char *line = stream->bytes + stream->at;
    const char *newline = memchr(line, '\n', n_fed - stream->at);

    *ret_len = newline ? (size_t) (newline - line) : n_fed - stream->at;
    if (*ret_len > LINE_LIMIT)
        return LINE_TOO_LONG;
    return newline ? LINE_GOOD : LINE_NONE;
}

/* Take all lines that are complete. False when they are not the model's. */
static bool drain(LineBuffer *buffer,
                  Stream *stream,
                  size_t n_fed,
                  LineResult *ret_last)
{
    const char *line;
    size_t len, expected_len;
    LineResult expected;

    for (;;) {
        expected = model_next(stream, n_fed, &expected_len);
        *ret_last = line_buffer_next(buffer, &line, &len);
        if (*ret_last != expected)
            return false;
        if (expected != LINE_GOOD)
            break;
        if (len != expected_len ||
            memcmp(line, stream->bytes + stream->at, len) != 0)
            return false;
        stream->at += len + 1;
    }
    return line_buffer_has_partial(buffer) == (stream->at < n_fed);
}

/*
 * Feed in pieces of at most @piece bytes; 0: each of a random length. False
 * when what comes out is not what the model says.
 */
static bool feed(Random *random, Stream stream, size_t piece)
{
    _cleanup_(line_buffer_freep) LineBuffer *buffer = NULL;
    LineResult last = LINE_NONE;
    size_t n_fed = 0;

    assert_int_equal(line_buffer_new(&buffer, LINE_LIMIT), 0);
    while (n_fed < stream.len && last != LINE_TOO_LONG) {
        size_t size, n;
        char *space = line_buffer_space(buffer, &size);

        if (size == 0)
            return false;
        n = piece > 0 ? piece : 1 + random_below(random, size);
        n = n < size ? n : size;
        n = n < stream.len - n_fed ? n : stream.len - n_fed;
        memcpy(space, stream.bytes + n_fed, n);
        line_buffer_filled(buffer, n);
        n_fed += n;
        if (!drain(buffer, &stream, n_fed, &last))
            return false;
    }
    return true;
}

static void test_any_split_of_any_stream_gives_the_same_lines(void **state)
{
    Random random = random_begin();

    (void) state;

    for (size_t round = 0; round < N_ROUNDS; round++) {
        const uint64_t seed = random.state;
        Stream stream = random_stream(&random);

        if (!feed(&random, stream, 1) || !feed(&random, stream, STREAM_MAX) ||
            !feed(&random, stream, 0))
            fail_msg("other lines: " RANDOM_SEED_FORMAT, seed);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_split_of_any_stream_gives_the_same_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
