/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dom0/core/rule-check.h"
#include "dom0/core/rule-cursor.h"
#include "dom0/core/rule-parse.h"
#include "dom0/core/rule-text.h"
#include "dom0/core/ruleset.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct RuleParser {
    RuleCursor cursor;
};

/* A place that the lexer does not come to. */
static RuleToken place(const char *text, unsigned int line, unsigned int column)
{
    return (RuleToken){
        .kind = RULE_TOKEN_BAD,
        .text = text,
        .line_start = text,
        .line = line,
        .column = column,
    };
}

/* What makes the whole file no rule file. */
static bool check_file(RuleCursor *cursor, const char *text, size_t len)
{
    const char *nul = len > 0 ? memchr(text, '\0', len) : NULL;
    RuleToken at = place(text, 1, 1);

    if (len > RULESET_FILE_SIZE_MAX) {
        cursor->report.r =
            diagnostics_add(cursor->report.diagnostics, DIAGNOSTIC_ERROR,
                            cursor->file, 0, 0, NULL, 0,
                            "the file has more than 1 MiB; split it into "
                            "several files");
        return false;
    }
    if (!nul)
        return true;

    for (const char *p = text; p < nul; p++)
        if (*p == '\n')
            at = place(p + 1, at.line + 1, 1);
    RULE_REPORT_INSIDE(&cursor->report, &at, (size_t) (nul - at.text),
                       "a NUL byte: this is no text in UTF-8; save the file as "
                       "plain text in UTF-8");
    return false;
}

/* Pass a byte order mark, and say that it should not be there. */
static size_t skip_mark(RuleCursor *cursor, const char *text, size_t len)
{
    static const char mark[] = BYTE_ORDER_MARK;
    RuleToken at = place(text, 1, 1);

    if (len < strlen(mark) || memcmp(text, mark, strlen(mark)) != 0)
        return 0;

    RULE_REPORT(&cursor->report, &at,
                "the file begins with a byte order mark; save it as UTF-8 "
                "without one");
    return strlen(mark);
}

static void begin(RuleCursor *cursor, const char *text, size_t len)
{
    size_t skipped;

    cursor->stopped =
        cursor->names->full_told || !check_file(cursor, text, len);
    if (cursor->stopped)
        return;

    skipped = skip_mark(cursor, text, len);
    rule_lex_begin(&cursor->lex, text + skipped, len - skipped);
}

int rule_parser_new(RuleParser **ret,
                    const RuleParserOutput *output,
                    const char *file,
                    const char *untrusted_text,
                    size_t untrusted_len)
{
    _cleanup_(rule_parser_freep) RuleParser *parser = NULL;
    RuleCursor *cursor;

    parser = calloc(1, sizeof(*parser));
    if (!parser)
        return -ENOMEM;

    cursor = &parser->cursor;
    cursor->arena = output->arena;
    cursor->names = output->names;
    cursor->file = rule_arena_text(output->arena, file, strlen(file));
    if (!cursor->file)
        return -ENOMEM;
    cursor->report = (RuleReport){
        .diagnostics = output->diagnostics,
        .file = cursor->file,
        .text_end = untrusted_text + untrusted_len,
    };
    begin(cursor, untrusted_text, untrusted_len);

    *ret = TAKE_PTR(parser);
    return 0;
}

RuleParser *rule_parser_free(RuleParser *parser)
{
    free(parser);
    return NULL;
}

/* Without these conditions allow and ask mean whole disks. */
static bool means_whole_disks(const RuleDraft *draft)
{
    if (draft->action == RULE_DENY || draft->class == RULE_CLASS_USB)
        return false;
    for (size_t i = 0; i < draft->n_conditions; i++)
        if (draft->conditions[i].key == CONDITION_TYPE ||
            draft->conditions[i].key == CONDITION_PARTITION)
            return false;
    return true;
}

/* NULL without memory. */
static const RulePlace *copy_places(RuleArena *arena,
                                    const RuleToken *tokens,
                                    size_t n)
{
    RulePlace *places = rule_arena_alloc(arena, n * sizeof(*places));

    for (size_t i = 0; places && i < n; i++)
        places[i] = (RulePlace){ tokens[i].line, tokens[i].column };
    return places;
}

static int make_rule(const RuleCursor *cursor, const Rule **ret)
{
    const RuleDraft *draft = &cursor->draft;
    RuleArena *arena = cursor->arena;
    Rule *rule;

    rule = rule_arena_alloc(arena, sizeof(*rule));
    if (!rule)
        return -ENOMEM;

    *rule = (Rule){
        .name = draft->name,
        .action = draft->action,
        .class = draft->class,
        .conditions =
            rule_arena_copy(arena, draft->conditions, draft->n_conditions,
                            sizeof(draft->conditions[0])),
        .n_conditions = draft->n_conditions,
        .whole_disks = means_whole_disks(draft),
        .sources = rule_arena_copy(arena, draft->sources, draft->n_sources,
                                   sizeof(draft->sources[0])),
        .n_sources = draft->n_sources,
        .targets = rule_arena_copy(arena, draft->targets, draft->n_targets,
                                   sizeof(draft->targets[0])),
        .n_targets = draft->n_targets,
        .options = draft->options,
        .file = cursor->file,
        .line = draft->name_at.line,
        .column = draft->name_at.column,
        .condition_at =
            copy_places(arena, draft->condition_at, draft->n_conditions),
        .source_at = copy_places(arena, draft->source_at, draft->n_sources),
        .target_at = copy_places(arena, draft->target_at, draft->n_targets),
    };
    if (!rule->conditions || !rule->sources || !rule->targets ||
        !rule->condition_at || !rule->source_at || !rule->target_at)
        return -ENOMEM;
    rule->text = rule_to_text(rule, arena);
    if (!rule->text)
        return -ENOMEM;

    *ret = rule;
    return 0;
}

/* The large arrays need not be empty, only what says how much is in them. */
static void draft_reset(RuleDraft *draft)
{
    memset(&draft->name, 0, offsetof(RuleDraft, conditions));
    draft->n_conditions = 0;
    draft->n_sources = 0;
    draft->from_at = (RuleToken){};
    draft->n_targets = 0;
    draft->targets_refused = false;
    draft->to_at = (RuleToken){};
    draft->options = (RuleOptions){
        .timeout_usec = RULE_TIMEOUT_DEFAULT_USEC,
    };
    memset(draft->option_at, 0, sizeof(draft->option_at));
    draft->n_values = 0;
}

/* Read one logical line: 1 if it is a good rule, 0 if it is anything else. */
static int parse_line(RuleCursor *cursor, const Rule **ret)
{
    RuleNameEntry *entry;
    int r;

    draft_reset(&cursor->draft);
    cursor->report.n_line_errors = 0;
    cursor->token = rule_lex_next_of_name(&cursor->lex);
    if (rule_cursor_at_end(cursor))
        return 0;

    if (rule_head_parse(cursor) && rule_body_parse(cursor))
        rule_check(&cursor->draft, &cursor->report);
    while (!rule_cursor_at_end(cursor))
        rule_cursor_advance(cursor);

    if (cursor->report.r < 0)
        return cursor->report.r;
    if (cursor->report.n_line_errors > 0)
        return 0;

    r = make_rule(cursor, ret);
    if (r < 0)
        return r;
    entry = rule_names_find(cursor->names, (*ret)->name.s);
    assert(entry);
    entry->rule = *ret;
    return 1;
}

int rule_parser_next(RuleParser *parser, const Rule **ret)
{
    RuleCursor *cursor = &parser->cursor;

    if (cursor->report.r < 0)
        return cursor->report.r;

    while (!cursor->stopped) {
        int r = parse_line(cursor, ret);

        if (r != 0)
            return r;
        if (cursor->token.kind == RULE_TOKEN_END_OF_FILE)
            cursor->stopped = true;
    }
    return 0;
}
