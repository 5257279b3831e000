/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/ctl/rule-book.h"
#include "tests/support/test.h"

#define DAEMON_UID 12345U
#define OTHER_GID  12345U

typedef struct Fixture {
    char folder[64];
    char file[96];
} Fixture;

static int set_up(void **state)
{
    static Fixture fixture;
    FILE *file;

    (void) snprintf(fixture.folder, sizeof(fixture.folder), "%s",
                    "/tmp/test-ctl-rule-book.XXXXXX");
    assert_non_null(mkdtemp(fixture.folder));
    (void) snprintf(fixture.file, sizeof(fixture.file), "%s/a.rules",
                    fixture.folder);
    file = fopen(fixture.file, "w");
    assert_non_null(file);
    assert_true(fputs("a: deny any\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(fixture.folder, 0755), 0);
    assert_int_equal(chmod(fixture.file, 0644), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    const Fixture *fixture = *state;

    return unlink(fixture->file) < 0 || rmdir(fixture->folder) < 0 ? -1 : 0;
}

/* The only thing that is wrong with the path for a daemon of this user: has
 * @message in it, NULL for nothing. */
static void assert_found(const char *path, uid_t owner, const char *message)
{
    _cleanup_(rule_book_freep) RuleBook *book = NULL;
    const Diagnostics *diagnostics;

    assert_int_equal(rule_book_new(&book), 0);
    assert_int_equal(rule_book_add(book, path, owner), 0);
    diagnostics = rule_book_diagnostics(book);
    assert_int_equal(diagnostics_count(diagnostics), message ? 1 : 0);
    if (message)
        assert_non_null(
            strstr(diagnostics_get(diagnostics, 0)->message, message));
}

static void test_a_file_that_the_daemon_cannot_read_is_an_error(void **state)
{
    static const mode_t modes[] = { 0600, 0640 };
    const Fixture *fixture = *state;
    char cure[160];

    if (geteuid() != 0)
        SKIP("needs root");
    (void) snprintf(cure, sizeof(cure),
                    "cannot read the file; run: sudo chmod a+r %s",
                    fixture->file);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(fixture->file, modes[i]), 0);
        assert_found(fixture->folder, DAEMON_UID, cure);
        assert_found(fixture->file, DAEMON_UID, cure);
        /* what is only looked at, and a daemon that is root */
        assert_found(fixture->folder, RULES_OWNER_ANY, NULL);
        assert_found(fixture->file, 0, NULL);
    }
    assert_int_equal(chmod(fixture->file, 0604), 0);
    assert_found(fixture->folder, DAEMON_UID, NULL);
}

static void test_a_group_may_be_the_daemon_s_and_an_owner_is_itself(
    void **state)
{
    const Fixture *fixture = *state;

    if (geteuid() != 0)
        SKIP("needs root");
    assert_int_equal(chown(fixture->file, 0, OTHER_GID), 0);
    assert_int_equal(chmod(fixture->file, 0640), 0);
    assert_found(fixture->folder, DAEMON_UID, NULL);
    assert_int_equal(chmod(fixture->file, 0600), 0);
    assert_found(fixture->folder, DAEMON_UID, "cannot read the file");
    assert_int_equal(chown(fixture->file, DAEMON_UID, OTHER_GID), 0);
    assert_found(fixture->folder, DAEMON_UID, NULL);
    assert_int_equal(chmod(fixture->file, 0044), 0);
    assert_found(fixture->folder, DAEMON_UID, "cannot read the file");
}

static void test_a_folder_that_the_daemon_cannot_open_is_an_error(void **state)
{
    static const mode_t modes[] = { 0700, 0750, 0754, 0751 };
    const Fixture *fixture = *state;
    char cure[160];

    if (geteuid() != 0)
        SKIP("needs root");
    (void) snprintf(cure, sizeof(cure),
                    "cannot read the folder; run: sudo chmod a+rx %s",
                    fixture->folder);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(fixture->folder, modes[i]), 0);
        assert_found(fixture->folder, DAEMON_UID, cure);
    }
    assert_int_equal(chmod(fixture->folder, 0755), 0);
    assert_found(fixture->folder, DAEMON_UID, NULL);
    /* one error of it is enough */
    assert_int_equal(chmod(fixture->folder, 0770), 0);
    assert_found(fixture->folder, DAEMON_UID, "chmod go-w");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_a_file_that_the_daemon_cannot_read_is_an_error),
        TEST(test_a_group_may_be_the_daemon_s_and_an_owner_is_itself),
        TEST(test_a_folder_that_the_daemon_cannot_open_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
