/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/ctl/nearest.h"

#define ABBREVIATION_MIN 2U /* letters that may stand for the word */

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t nearest_distance(const char *a, const char *b)
{
    /* the last rows of the table of all distances of beginnings */
    size_t rows[3][NEAREST_WORD_MAX + 1];
    size_t len_a = strlen(a), len_b = strlen(b);

    if (len_a > NEAREST_WORD_MAX || len_b > NEAREST_WORD_MAX)
        return SIZE_MAX;

    for (size_t j = 0; j <= len_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= len_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];

        row[0] = i;
        for (size_t j = 1; j <= len_b; j++) {
            row[j] = min(above[j] + 1, row[j - 1] + 1);
            row[j] = min(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min(row[j], rows[(i + 1) % 3][j - 2] + 1);
        }
    }
    return rows[len_a % 3][len_b];
}

/* One slip in a short word, two in a longer one. */
static bool is_near(const char *word, const char *candidate)
{
    size_t len = strlen(word);

    if (len >= ABBREVIATION_MIN && strncmp(candidate, word, len) == 0)
        return true;
    return nearest_distance(word, candidate) <= (strlen(candidate) < 5 ? 1 : 2);
}

const char *nearest_pick(const char *word,
                         const char *best,
                         const char *candidate)
{
    if (!is_near(word, candidate))
        return best;
    if (best &&
        nearest_distance(word, best) <= nearest_distance(word, candidate))
        return best;
    return candidate;
}
