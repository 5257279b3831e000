/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Patterns walked together, against all short texts
 *
 * Where the walk says that no text fits none may, and where it says that one
 * does there must be one: with so few parts it is a short one. Every pair of
 * short patterns is looked at, and random terms of longer ones.
 */

#include <string.h>

#include "dom0/core/glob-walk.h"
#include "dom0/core/glob.h"
#include "tests/support/random.h"
#include "tests/support/test.h"

#define PAIR_PATTERN_MAX 3U
#define TEXT_MAX         5U
#define N_TEXTS          10000U
#define N_ROUNDS         (10000U / TESTS_SHARE)
#define TERMS_MAX        4U
#define PATTERNS_MAX     3U
#define PARTS_MAX        3U

/* "z" is in a pattern by its other case, "_" within a range, "c" in none */
static const char text_letters[] = "abczB_";
static const char *const parts[] = { "a", "b",    "B",    "*",
                                     "?", "[ab]", "[!a]", "[Z-a]" };

typedef struct Term {
    char patterns[PATTERNS_MAX][GLOB_MAX + 1];
    size_t n;
    bool negated;
} Term;

typedef struct Terms {
    Term terms[TERMS_MAX];
    size_t n;
    bool fold;
} Terms;

static char texts[N_TEXTS][TEXT_MAX + 1];
static size_t n_texts;

static void make_texts(void)
{
    size_t begin = 0, end = 1;

    n_texts = 1; /* "" */
    for (size_t len = 0; len < TEXT_MAX; len++) {
        for (size_t i = begin; i < end; i++)
            for (const char *c = text_letters; *c; c++) {
                memcpy(texts[n_texts], texts[i], len);
                texts[n_texts][len] = *c;
                assert_true(++n_texts < N_TEXTS);
            }
        begin = end;
        end = n_texts;
    }
}

static bool term_takes(const Term *term, const char *text, bool fold)
{
    bool takes = false;

    for (size_t i = 0; i < term->n && !takes; i++)
        takes = glob_match(term->patterns[i], text, fold);
    return takes != term->negated;
}

static bool any_text_fits(const Terms *terms)
{
    for (size_t i = 0; i < n_texts; i++) {
        size_t n = 0;

        while (n < terms->n &&
               term_takes(&terms->terms[n], texts[i], terms->fold))
            n++;
        if (n == terms->n)
            return true;
    }
    return false;
}

static GlobFinding walk_terms(GlobWalk *walk, const Terms *terms)
{
    glob_walk_begin(walk,
                    terms->fold ? GLOB_ALPHABET_FOLDED : GLOB_ALPHABET_TEXT);
    for (size_t i = 0; i < terms->n; i++) {
        for (size_t j = 0; j < terms->terms[i].n; j++) {
            glob_walk_open(walk);
            glob_walk_parts(walk, terms->terms[i].patterns[j]);
            glob_walk_close(walk);
        }
        glob_walk_term(walk, terms->terms[i].negated);
    }
    return glob_walk_run(walk);
}

static void add_pattern(Term *term, const char *pattern, bool fold)
{
    size_t offset;

    assert_null(glob_normalize(term->patterns[term->n++], pattern,
                               strlen(pattern), fold, &offset));
}

static const char *finding_name(GlobFinding finding)
{
    static const char *const names[] = { "unknown", "none", "some" };

    return names[finding];
}

static void check(GlobWalk *walk, const Terms *terms, uint64_t seed)
{
    GlobFinding finding = walk_terms(walk, terms);
    GlobFinding expected = any_text_fits(terms) ? GLOB_SOME : GLOB_NONE;

    if (finding == expected)
        return;
    for (size_t i = 0; i < terms->n; i++)
        for (size_t j = 0; j < terms->terms[i].n; j++)
            print_message("%s%s\n", terms->terms[i].negated ? "not " : "",
                          terms->terms[i].patterns[j]);
    fail_msg("%s instead of %s; " RANDOM_SEED_FORMAT, finding_name(finding),
             finding_name(expected), seed);
}

/* The pattern of this number, by its parts; false if there are no more. */
static bool pattern_of(size_t number, size_t parts_max, char *ret)
{
    *ret = '\0';
    for (size_t n = 0; number > 0; n++, number /= ARRAY_SIZE(parts) + 1) {
        size_t part = number % (ARRAY_SIZE(parts) + 1);

        if (n == parts_max)
            return false;
        if (part > 0)
            strcat(ret, parts[part - 1]);
    }
    return true;
}

static void test_each_pair_of_patterns_is_told_apart(void **state)
{
    _cleanup_(glob_walk_freep) GlobWalk *walk = NULL;
    char a[GLOB_MAX + 1], b[GLOB_MAX + 1];

    (void) state;

    assert_int_equal(glob_walk_new(&walk, UINT64_MAX), 0);
    for (size_t i = 1; pattern_of(i, PAIR_PATTERN_MAX, a); i++)
        for (size_t j = 1; pattern_of(j, PAIR_PATTERN_MAX, b); j += 7) {
            Terms terms = { .n = 2, .fold = j % 2 == 1 };

            terms.terms[1].negated = true;
            add_pattern(&terms.terms[0], a, terms.fold);
            add_pattern(&terms.terms[1], b, terms.fold);
            check(walk, &terms, 0);
        }
}

static void test_random_terms_are_told_apart(void **state)
{
    _cleanup_(glob_walk_freep) GlobWalk *walk = NULL;
    Random random = random_begin();

    (void) state;

    assert_int_equal(glob_walk_new(&walk, UINT64_MAX), 0);
    for (size_t round = 0; round < N_ROUNDS; round++) {
        uint64_t seed = random.state;
        Terms terms = { .n = 1 + random_below(&random, TERMS_MAX),
                        .fold = random_bool(&random) };

        for (size_t i = 0; i < terms.n; i++) {
            Term *term = &terms.terms[i];

            term->negated = random_bool(&random);
            for (size_t n = random_below(&random, PATTERNS_MAX); n > 0; n--) {
                char pattern[GLOB_MAX + 1] = "";

                for (size_t m = 1 + random_below(&random, PARTS_MAX); m > 0;
                     m--)
                    strcat(pattern,
                           parts[random_below(&random, ARRAY_SIZE(parts))]);
                add_pattern(term, pattern, terms.fold);
            }
        }
        check(walk, &terms, seed);
    }
}

static void test_a_range_takes_by_the_other_case_no_more_than_letters(
    void **state)
{
    /* "{" fits the first, not the second; "a" fits both of the others */
    static const char *const ranges[] = { "[y-~]", "[Y-c]", "[`-e]", "[@-D]" };
    _cleanup_(glob_walk_freep) GlobWalk *walk = NULL;

    (void) state;

    assert_int_equal(glob_walk_new(&walk, UINT64_MAX), 0);
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i += 2) {
        Terms terms = { .n = 2, .fold = true };

        terms.terms[1].negated = i == 0;
        add_pattern(&terms.terms[0], ranges[i], true);
        add_pattern(&terms.terms[1], ranges[i + 1], true);
        assert_int_equal(walk_terms(walk, &terms), GLOB_SOME);
    }
}

static int setup(void **state)
{
    (void) state;

    make_texts();
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_pair_of_patterns_is_told_apart),
        cmocka_unit_test(test_random_terms_are_told_apart),
        cmocka_unit_test(
            test_a_range_takes_by_the_other_case_no_more_than_letters),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
