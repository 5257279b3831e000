/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Every pattern of up to PATTERN_MAX characters out of those that mean
 * something and a few that do not, on every text of up to TEXT_MAX: refused,
 * or matching, exactly as the plain recursive reading of the original pattern
 * says, and its normal form is its own normal form.
 */

#include <string.h>

#include "dom0/core/glob.h"
#include "tests/support/test.h"

#define PATTERN_MAX 5U
#define TEXT_MAX    3U

static const char pattern_letters[] = "aB*?[]!-\\";
static const char text_letters[] = "abB-]";

static char fold_char(char c, bool fold)
{
    return fold && c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static bool in_range(char c, char first, char last, bool fold)
{
    char other = c;

    if (fold && c >= 'a' && c <= 'z')
        other = (char) (c - 'a' + 'A');
    if (fold && c >= 'A' && c <= 'Z')
        other = (char) (c - 'A' + 'a');
    return (c >= first && c <= last) || (other >= first && other <= last);
}

/*
 * Read the set behind '[' at @p: where it ends, or NULL if it is no good set.
 * @ret_has says whether @c is in it.
 */
static const char *read_set(const char *p, char c, bool fold, bool *ret_has)
{
    bool negated = *p == '!', has = false;
    size_t n = 0;

    if (negated)
        p++;
    for (; *p != ']'; n++) {
        char first, last;

        if (*p == '\\')
            p++;
        if (*p == '\0')
            return NULL;
        first = last = *p++;
        if (*p == '-' && p[1] != ']') {
            p++;
            if (*p == '\\')
                p++;
            if (*p == '\0')
                return NULL;
            last = *p++;
        }
        if (last < first)
            return NULL;
        has |= in_range(c, first, last, fold);
    }
    *ret_has = has != negated;
    return n > 0 ? p + 1 : NULL;
}

static bool is_good(const char *p)
{
    bool has;

    if (*p == '\0')
        return false;
    while (*p) {
        if (*p == '[') {
            p = read_set(p + 1, 'a', false, &has);
            if (!p)
                return false;
            continue;
        }
        if (*p == '\\' && *++p == '\0')
            return false;
        p++;
    }
    return true;
}

static bool matches(const char *p, const char *text, bool fold)
{
    bool has;

    switch (*p) {
    case '\0':
        return *text == '\0';
    case '*':
        return matches(p + 1, text, fold) ||
               (*text && matches(p, text + 1, fold));
    case '?':
        return *text && matches(p + 1, text + 1, fold);
    case '[':
        p = read_set(p + 1, *text, fold, &has);
        return *text && has && matches(p, text + 1, fold);
    case '\\':
        p++;
        break;
    }
    return *text && fold_char(*p, fold) == fold_char(*text, fold) &&
           matches(p + 1, text + 1, fold);
}

/* The next word over @letters, in the order of an odometer; false at the end */
static bool next_word(char *word, size_t max, const char *letters)
{
    for (size_t i = 0; i < max; i++) {
        const char *letter = word[i] ? strchr(letters, word[i]) : NULL;

        if (!letter) {
            word[i] = letters[0];
            return true;
        }
        if (letter[1]) {
            word[i] = letter[1];
            return true;
        }
        word[i] = letters[0];
    }
    return false;
}

static void check_texts(const char *pattern, const Glob *glob, bool fold)
{
    char text[TEXT_MAX + 1] = "";

    do {
        bool expected = matches(pattern, text, fold);

        if (glob_match(glob->pattern, text, fold) != expected ||
            glob_test(glob, text, fold) != expected)
            fail_msg("%s (%s) and %s", pattern, glob->pattern, text);
    } while (next_word(text, TEXT_MAX, text_letters));
}

static void check_pattern(const char *pattern, bool fold)
{
    char normal[GLOB_MAX + 1], again[GLOB_MAX + 1], literal[GLOB_MAX + 1];
    Glob glob = { .pattern = normal };
    const char *error;
    size_t offset;

    error = glob_normalize(normal, pattern, strlen(pattern), fold, &offset);
    /* it refuses [^...] for clarity, which is not among the letters here */
    if (!error != is_good(pattern))
        fail_msg("%s: %s", pattern, error ? error : "no error");
    if (error) {
        assert_true(offset == GLOB_WHOLE || offset < strlen(pattern));
        return;
    }

    assert_null(glob_normalize(again, normal, strlen(normal), fold, &offset));
    assert_string_equal(again, normal);
    if (glob_to_literal(literal, normal))
        glob.literal = literal;
    check_texts(pattern, &glob, fold);
}

static void test_every_pattern_matches_what_it_says(void **state)
{
    char pattern[PATTERN_MAX + 1] = "";

    (void) state;

    do {
        check_pattern(pattern, false);
        check_pattern(pattern, true);
    } while (next_word(pattern, PATTERN_MAX, pattern_letters));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pattern_matches_what_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
