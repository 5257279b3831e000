/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/core/glob-part.h"
#include "dom0/core/glob-walk.h"

#define PIECES_MAX 2048U
#define STATES_MAX 2048U
#define SLOTS      (2 * STATES_MAX)
#define EDGES_MAX  1024U
#define WORD_BITS  64U
#define WORDS_MAX  (PIECES_MAX / WORD_BITS)

/* One part of a pattern of a term, or the end of a pattern */
typedef struct Piece {
    GlobPart part;
    bool is_end;
    uint8_t term;
} Piece;

struct GlobWalk {
    uint64_t work_left;

    GlobAlphabet alphabet;
    bool full;                 /* there was no room for all */
    uint64_t wanted, unwanted; /* bit of each term: how it must end */
    uint8_t n_terms;
    Piece pieces[PIECES_MAX];
    size_t n_pieces;
    uint16_t begins[PIECES_MAX]; /* where each pattern begins */
    size_t n_begins;
    uint32_t edges[EDGES_MAX]; /* from one to the next all is the same */
    size_t n_edges;

    /* each a set of pieces, by bits */
    uint64_t states[STATES_MAX][WORDS_MAX];
    size_t n_states;
    uint16_t slots[SLOTS]; /* index of a state plus 1; 0: free */
};

int glob_walk_new(GlobWalk **ret, uint64_t work_max)
{
    GlobWalk *walk = calloc(1, sizeof(*walk));

    if (!walk)
        return -ENOMEM;

    walk->work_left = work_max;
    *ret = walk;
    return 0;
}

GlobWalk *glob_walk_free(GlobWalk *walk)
{
    free(walk);
    return NULL;
}

bool glob_walk_spend(GlobWalk *walk)
{
    if (walk->work_left > 0)
        walk->work_left--;
    return walk->work_left > 0;
}

bool glob_walk_is_spent(const GlobWalk *walk)
{
    return walk->work_left == 0;
}

void glob_walk_begin(GlobWalk *walk, GlobAlphabet alphabet)
{
    walk->alphabet = alphabet;
    walk->full = false;
    walk->wanted = walk->unwanted = 0;
    walk->n_terms = 0;
    walk->n_pieces = walk->n_begins = walk->n_edges = 0;
}

static bool folds(const GlobWalk *walk)
{
    return walk->alphabet == GLOB_ALPHABET_FOLDED ||
           walk->alphabet == GLOB_ALPHABET_HEX;
}

/* The first character from @c on that a plain text can have. */
static uint32_t next_plain(uint32_t c)
{
    if (c < 0x20)
        return 0x20;
    if (c >= 0x7f && c < 0xa0)
        return 0xa0;
    return c >= 0xd800 && c < 0xe000 ? 0xe000 : c;
}

static uint32_t next_hex(uint32_t c)
{
    if (c < '0')
        return '0';
    if (c > ':' && c < 'a')
        return 'a';
    return c <= 'f' ? c : GLOB_NO_CODE_POINT;
}

static uint32_t next_of_name(uint32_t c)
{
    if (c < '-')
        return '-';
    if (c > '-' && c < '0')
        return '0';
    if (c > '9' && c < 'a')
        return 'a';
    return c <= 'z' ? c : GLOB_NO_CODE_POINT;
}

/* The first of the alphabet from @c on. Of letters whose case does not matter
 * the lower one stands for both. */
static uint32_t next_of_alphabet(const GlobWalk *walk, uint32_t c)
{
    switch (walk->alphabet) {
    case GLOB_ALPHABET_TEXT:
        return next_plain(c);
    case GLOB_ALPHABET_FOLDED:
        return next_plain(glob_is_upper(c) ? 'Z' + 1 : c);
    case GLOB_ALPHABET_HEX:
        return next_hex(c);
    case GLOB_ALPHABET_NAME:
        return next_of_name(c);
    }
    return GLOB_NO_CODE_POINT;
}

static void add_edge(uint32_t c, void *userdata)
{
    GlobWalk *walk = userdata;
    uint32_t lower = glob_to_lower(c);

    if (walk->n_edges + 2 > EDGES_MAX) {
        walk->full = true;
        return;
    }
    walk->edges[walk->n_edges++] = c;
    if (folds(walk) && lower != c)
        walk->edges[walk->n_edges++] = lower;
}

static int compare_edges(const void *a, const void *b)
{
    uint32_t edge_a = *(const uint32_t *) a, edge_b = *(const uint32_t *) b;

    return (edge_a > edge_b) - (edge_a < edge_b);
}

/* Leave one character of the alphabet out of those from each edge to the
 * next. */
static void finish_edges(GlobWalk *walk)
{
    size_t n = 0;

    add_edge(0, walk);
    if (folds(walk)) {
        /* a range may take letters by their other case, but only letters: of
         * [Y-c] no edge is behind 'z' */
        add_edge('a', walk);
        add_edge('z' + 1, walk);
    }
    if (walk->full)
        return;
    qsort(walk->edges, walk->n_edges, sizeof(walk->edges[0]), compare_edges);
    for (size_t i = 0; i < walk->n_edges; i++) {
        uint32_t c = next_of_alphabet(walk, walk->edges[i]);
        uint32_t end =
            i + 1 < walk->n_edges ? walk->edges[i + 1] : GLOB_NO_CODE_POINT;

        if (c < end)
            walk->edges[n++] = c;
    }
    walk->n_edges = n;
}

static void add_piece(GlobWalk *walk, Piece piece)
{
    if (walk->n_pieces == PIECES_MAX) {
        walk->full = true;
        return;
    }
    piece.term = walk->n_terms;
    walk->pieces[walk->n_pieces++] = piece;
}

void glob_walk_open(GlobWalk *walk)
{
    if (walk->n_begins == PIECES_MAX)
        walk->full = true;
    else
        walk->begins[walk->n_begins++] = (uint16_t) walk->n_pieces;
}

void glob_walk_parts(GlobWalk *walk, const char *pattern)
{
    Piece piece = {};

    while ((pattern = glob_next_part(&piece.part, pattern))) {
        add_piece(walk, piece);
        glob_part_edges(&piece.part, add_edge, walk);
    }
}

void glob_walk_close(GlobWalk *walk)
{
    add_piece(walk, (Piece){ .is_end = true });
}

void glob_walk_term(GlobWalk *walk, bool negated)
{
    uint64_t bit = UINT64_C(1) << walk->n_terms;

    assert(walk->n_terms < GLOB_WALK_TERMS_MAX);

    walk->n_terms++;
    if (negated)
        walk->unwanted |= bit;
    else
        walk->wanted |= bit;
}

/* The piece at @i comes next, or what is behind it if it may take nothing. */
static void put_piece(const GlobWalk *walk, uint64_t *state, size_t i)
{
    const Piece *piece;

    do {
        state[i / WORD_BITS] |= UINT64_C(1) << (i % WORD_BITS);
        piece = &walk->pieces[i++];
    } while (!piece->is_end && piece->part.kind == GLOB_PART_STAR);
}

static size_t n_words(const GlobWalk *walk)
{
    return (walk->n_pieces + WORD_BITS - 1) / WORD_BITS;
}

/* The first piece from @i on that is in the state; n_pieces if there is none.
 */
static size_t next_piece(const GlobWalk *walk, const uint64_t *state, size_t i)
{
    while (i < walk->n_pieces) {
        uint64_t bits = state[i / WORD_BITS] >> (i % WORD_BITS);

        if (bits != 0)
            return i + (size_t) __builtin_ctzll(bits);
        i += WORD_BITS - i % WORD_BITS;
    }
    return walk->n_pieces;
}

static void take_char(GlobWalk *walk,
                      const uint64_t *state,
                      uint32_t c,
                      uint64_t *ret)
{
    memset(ret, 0, n_words(walk) * sizeof(*ret));
    for (size_t i = next_piece(walk, state, 0); i < walk->n_pieces;
         i = next_piece(walk, state, i + 1)) {
        const Piece *piece = &walk->pieces[i];

        (void) glob_walk_spend(walk);
        if (piece->is_end)
            continue;
        if (piece->part.kind == GLOB_PART_STAR)
            put_piece(walk, ret, i);
        else if (glob_part_takes(&piece->part, c, folds(walk)))
            put_piece(walk, ret, i + 1);
    }
}

/* What a state says of the terms, a bit for each */
typedef struct Outlook {
    uint64_t open;   /* may take a text that goes on */
    uint64_t taking; /* take the text so far */
    uint64_t sure;   /* take every text that goes on */
} Outlook;

static Outlook look_at(const GlobWalk *walk, const uint64_t *state)
{
    Outlook outlook = {};

    for (size_t i = next_piece(walk, state, 0); i < walk->n_pieces;
         i = next_piece(walk, state, i + 1)) {
        const Piece *piece = &walk->pieces[i];
        uint64_t bit = UINT64_C(1) << piece->term;

        outlook.open |= bit;
        if (piece->is_end)
            outlook.taking |= bit;
        else if (piece->part.kind == GLOB_PART_STAR && piece[1].is_end)
            outlook.sure |= bit;
    }
    return outlook;
}

/* Remember a state that was not met before. */
static void remember(GlobWalk *walk, const uint64_t *state)
{
    size_t size = n_words(walk) * sizeof(*state);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    size_t slot;

    for (size_t i = 0; i < n_words(walk); i++)
        hash = (hash ^ state[i]) * UINT64_C(0x100000001b3);
    slot = (size_t) (hash ^ hash >> 32) % SLOTS;

    for (; walk->slots[slot] > 0; slot = (slot + 1) % SLOTS)
        if (memcmp(walk->states[walk->slots[slot] - 1], state, size) == 0)
            return;
    if (walk->n_states == STATES_MAX) {
        walk->full = true;
        return;
    }
    memcpy(walk->states[walk->n_states], state, size);
    walk->slots[slot] = (uint16_t) ++walk->n_states;
}

static void remember_first(GlobWalk *walk)
{
    uint64_t state[WORDS_MAX] = {};

    walk->n_states = 0;
    memset(walk->slots, 0, sizeof(walk->slots));
    for (size_t i = 0; i < walk->n_begins; i++)
        put_piece(walk, state, walk->begins[i]);
    remember(walk, state);
}

/* The states that one more character leads to; those from which no text can be
 * found are not remembered. */
static void expand(GlobWalk *walk, const uint64_t *state)
{
    uint64_t next[WORDS_MAX];

    for (size_t i = 0; i < walk->n_edges; i++) {
        Outlook outlook;

        take_char(walk, state, walk->edges[i], next);
        outlook = look_at(walk, next);
        if ((outlook.open & walk->wanted) == walk->wanted &&
            (outlook.sure & walk->unwanted) == 0)
            remember(walk, next);
    }
}

GlobFinding glob_walk_run(GlobWalk *walk)
{
    finish_edges(walk);
    if (walk->full)
        return GLOB_UNKNOWN;

    remember_first(walk);
    for (size_t i = 0; i < walk->n_states; i++) {
        Outlook outlook = look_at(walk, walk->states[i]);

        if (outlook.taking == walk->wanted)
            return GLOB_SOME;
        expand(walk, walk->states[i]);
        if (walk->full || walk->work_left == 0)
            return GLOB_UNKNOWN;
    }
    return GLOB_NONE;
}
