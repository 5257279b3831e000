/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/wire/json.h"
#include "common/wire/line-buffer.h"
#include "common/wire/record-wire.h"
#include "tests/support/fault.h"
#include "tests/support/random-record.h"
#include "tests/support/test.h"

#define N_RECORDS 20U
/* exit statuses of the child that decodes */
#define CHILD_UNHARMED 0
#define CHILD_TOOK     10
#define CHILD_REFUSED  11

/* Try @encode with every allocation failing once; answers how many there are */
#define ASSERT_CLEAN_ERRORS(encode)             \
    do {                                        \
        size_t n_faults = 0;                    \
                                                \
        FAULT_LOOP(n) {                         \
            _cleanup_(freep) char *text = NULL; \
            int r = (encode);                   \
                                                \
            if (!fault_end()) {                 \
                assert_int_equal(r, 0);         \
                assert_non_null(text);          \
                break;                          \
            }                                   \
            assert_int_equal(r, -ENOMEM);       \
            assert_null(text);                  \
            n_faults++;                         \
        }                                       \
        assert_true(n_faults > 0);              \
    } while (0)

static int set_up(void **state)
{
    (void) state;

    /* in this program malloc() is the one that can fail */
    json_set_alloc_funcs(malloc, free);
    return 0;
}

static void test_encoding_an_event_survives_every_failure(void **state)
{
    Random random = random_begin();

    (void) state;

    for (size_t i = 0; i < N_RECORDS; i++) {
        const Record record = random_record(&random);

        ASSERT_CLEAN_ERRORS(wire_encode_event(&text, NULL, 1, &record));
    }
}

static void test_encoding_the_other_lines_survives_every_failure(void **state)
{
    static const WireHello hello = {
        .boot_id = { "0123456789abcdef0123456789abcdef" },
        .agent = "qubes-autoattach/1.0.0",
    };
    static const WireAnswer answer = { .seq = 3, .status = STATUS_ATTACHED };
    static const WireAnswer no_seq = { .status = STATUS_MALFORMED };

    (void) state;

    ASSERT_CLEAN_ERRORS(wire_encode_hello(&text, NULL, &hello));
    ASSERT_CLEAN_ERRORS(wire_encode_synced(&text, NULL));
    ASSERT_CLEAN_ERRORS(wire_encode_answer(&text, NULL, &answer));
    ASSERT_CLEAN_ERRORS(wire_encode_answer(&text, NULL, &no_seq));
}

static void test_a_line_buffer_is_made_whole_or_not_at_all(void **state)
{
    size_t n_faults = 0;

    (void) state;

    FAULT_LOOP(n) {
        _cleanup_(line_buffer_freep) LineBuffer *buffer = NULL;
        int r = line_buffer_new(&buffer, 16);

        if (!fault_end()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(buffer);
        n_faults++;
    }
    assert_int_equal(n_faults, 1);
}

/* Decode in a child, the n-th allocation failing; answers its wait status. */
static int decode_in_child(const char *line, size_t len, size_t n)
{
    const struct rlimit no_core = {};
    WireMessage message;
    int wait_status;
    pid_t pid = fork();

    assert_return_code(pid, errno);
    if (pid > 0) {
        assert_int_equal(waitpid(pid, &wait_status, 0), pid);
        return wait_status;
    }

    /* cmocka would report the signal, a sanitizer too: it is expected */
    (void) signal(SIGABRT, SIG_DFL);
    (void) setrlimit(RLIMIT_CORE, &no_core);
    fault_begin(n);
    if (wire_decode(&message, line, len, NULL) != STATUS_INVALID)
        _exit(fault_end() ? CHILD_REFUSED : CHILD_UNHARMED + 1);
    _exit(fault_end() ? CHILD_TOOK : CHILD_UNHARMED);
}

/*
 * jansson's parser drops bytes and runs over its buffers when an allocation
 * fails, so decoding must neither take nor refuse the line: the process ends.
 */
static void test_decoding_without_memory_ends_the_process(void **state)
{
    /* a token of 16 bytes: its last quote is the one that jansson drops */
    static const char line[] =
        "{\"type\":\"event\",\"seq\":1,\"action\":\"add\",\"class\":\"block\","
        "\"device\":\"sda\",\"properties\":{\"serial\":\"12345678901234\","
        "\"fs_label\":\"a label that is longer than one buffer of the lexer\","
        "\"interfaces\":[\"080650\"],\"size\":1,\"removable\":true}}";
    size_t n;

    (void) state;

    for (n = 0;; n++) {
        int wait_status = decode_in_child(line, sizeof(line) - 1, n);

        if (WIFEXITED(wait_status)) {
            assert_int_equal(WEXITSTATUS(wait_status), CHILD_UNHARMED);
            break;
        }
        assert_int_equal(WTERMSIG(wait_status), SIGABRT);
    }
    assert_true(n > 20);
}

static void test_decoding_leaves_the_allocator_as_it_was(void **state)
{
    json_malloc_t now_malloc;
    json_free_t now_free;
    WireMessage message;

    (void) state;

    (void) wire_decode(&message, "{\"type\":\"synced\"}", 17, NULL);
    json_get_alloc_funcs(&now_malloc, &now_free);
    assert_true(now_malloc == malloc);
    assert_true(now_free == free);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoding_an_event_survives_every_failure),
        cmocka_unit_test(test_encoding_the_other_lines_survives_every_failure),
        cmocka_unit_test(test_a_line_buffer_is_made_whole_or_not_at_all),
        cmocka_unit_test(test_decoding_without_memory_ends_the_process),
        cmocka_unit_test(test_decoding_leaves_the_allocator_as_it_was),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
