/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "common/text.h"
#include "dom0/ctl/arguments.h"
#include "dom0/ctl/nearest.h"

#define SHOWN_MAX 64U /* of what was typed */
#define SEE_HELP  "see " CTL_NAME " --help"

typedef struct OptionInfo {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    bool has_value;
    bool is_list; /* of values with commas between them: given once */
} OptionInfo;

static const OptionInfo infos[N_OPTIONS] = {
    [OPTION_HELP] = { "help", 'h', false, false },
    [OPTION_VERSION] = { "version", 0, false, false },
    [OPTION_JSON] = { "json", 0, false, false },
    [OPTION_QUIET] = { "quiet", 'q', false, false },
    [OPTION_VERBOSE] = { "verbose", 'v', false, false },
    [OPTION_SOCKET] = { "socket", 0, true, false },
    [OPTION_NUMBER] = { "number", 'n', true, false },
    [OPTION_FOLLOW] = { "follow", 'f', false, false },
    [OPTION_TIMEOUT] = { "timeout", 0, true, false },
    [OPTION_SOURCE] = { "source", 0, true, false },
    [OPTION_RULES_DIR] = { "rules-dir", 0, true, false },
    [OPTION_TO] = { "to", 0, true, true },
    [OPTION_ASK] = { "ask", 0, false, false },
    [OPTION_ALLOW] = { "allow", 0, false, false },
    [OPTION_MATCH] = { "match", 0, true, true },
    [OPTION_READ_ONLY] = { "read-only", 0, false, false },
    [OPTION_START] = { "start", 0, false, false },
    [OPTION_IF_RUNNING] = { "if-running", 0, false, false },
    [OPTION_CLOSE] = { "close", 0, false, false },
    [OPTION_FORCE] = { "force", 0, false, false },
    [OPTION_INTERACTIVE] = { "interactive", 'i', false, false },
};

typedef struct Parser {
    Arguments *arguments;
    ArgumentsError *error;
    char **argv;
    size_t n_argv;
    size_t at;
} Parser;

#define FAIL(error, ...)                                                 \
    ({                                                                   \
        (void) text_format((error)->s, sizeof((error)->s), __VA_ARGS__); \
        false;                                                           \
    })

static void take_option(Parser *parser, size_t id, const char *value)
{
    parser->arguments->given |= OPTION_BIT(id);
    parser->arguments->values[id] = value;
}

static bool fail_unknown(Parser *parser, const char *name, size_t len)
{
    char shown[SHOWN_MAX], word[NEAREST_WORD_MAX + 1];
    const char *best = NULL;

    (void) text_format(word, sizeof(word), "%.*s", (int) len, name);
    /* what rules have, but nobody need ask for */
    if (strcmp(word, "when-running") == 0)
        return FAIL(parser->error,
                    "unknown option --%s; leave it out: without --%s and --%s "
                    "a rule waits until its qube runs",
                    word, infos[OPTION_START].name,
                    infos[OPTION_IF_RUNNING].name);
    for (size_t i = 0; i < N_OPTIONS; i++)
        best = nearest_pick(word, best, infos[i].name);

    text_escape(shown, sizeof(shown), name, len);
    if (best)
        return FAIL(parser->error, "unknown option --%s; did you mean --%s?",
                    shown, best);
    return FAIL(parser->error, "unknown option --%s; " SEE_HELP, shown);
}

static bool parse_long(Parser *parser, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t) (equals - text) : strlen(text);
    size_t id = 0;

    while (id < N_OPTIONS && (strncmp(infos[id].name, text, len) != 0 ||
                              infos[id].name[len] != '\0'))
        id++;
    if (id == N_OPTIONS)
        return fail_unknown(parser, text, len);
    if (equals && !infos[id].has_value)
        return FAIL(parser->error, "--%s takes no value", infos[id].name);
    if (infos[id].is_list && arguments_have(parser->arguments, (OptionId) id))
        return FAIL(parser->error,
                    "--%s is given twice; a list has commas, as --%s a,b",
                    infos[id].name, infos[id].name);

    if (infos[id].has_value && !equals) {
        if (parser->at == parser->n_argv)
            return FAIL(parser->error, "--%s needs a value", infos[id].name);
        take_option(parser, id, parser->argv[parser->at++]);
    } else {
        take_option(parser, id, equals ? equals + 1 : NULL);
    }
    return true;
}

/* Letters in one word, as in "-qv"; the value of one may follow at once, as in
 * "-n5", or be the next word. */
static bool parse_letters(Parser *parser, const char *text)
{
    for (; *text; text++) {
        char shown[SHOWN_MAX];
        size_t id = 0;

        while (id < N_OPTIONS && infos[id].letter != *text)
            id++;
        if (id == N_OPTIONS) {
            text_escape(shown, sizeof(shown), text, 1);
            return FAIL(parser->error, "unknown option -%s; " SEE_HELP, shown);
        }
        if (!infos[id].has_value) {
            take_option(parser, id, NULL);
            continue;
        }
        if (text[1] == '\0' && parser->at == parser->n_argv)
            return FAIL(parser->error, "-%c needs a value", *text);
        take_option(parser, id,
                    text[1] ? text + 1 : parser->argv[parser->at++]);
        break;
    }
    return true;
}

/* The first word that is no option is the command, the others are operands. */
static void take_word(Parser *parser, char *word)
{
    Arguments *arguments = parser->arguments;

    if (!arguments->command)
        arguments->command = word;
    else
        arguments->operands[arguments->n_operands++] = word;
}

bool arguments_parse(Arguments *ret,
                     ArgumentsError *ret_error,
                     int argc,
                     char **argv)
{
    Parser parser = { .arguments = ret,
                      .error = ret_error,
                      .argv = argv,
                      .n_argv = (size_t) argc,
                      .at = 1 };

    /* there are always fewer operands than words were looked at */
    *ret = (Arguments){ .operands = argv };

    while (parser.at < parser.n_argv) {
        char *word = argv[parser.at++];

        if (strcmp(word, "--") == 0)
            break;
        if (word[0] != '-' || word[1] == '\0')
            take_word(&parser, word);
        else if (word[1] == '-' ? !parse_long(&parser, word + 2)
                                : !parse_letters(&parser, word + 1))
            return false;
    }
    while (parser.at < parser.n_argv)
        take_word(&parser, argv[parser.at++]);
    return true;
}

const char *arguments_option_name(OptionId option)
{
    return infos[option].name;
}

bool arguments_allow(const Arguments *arguments,
                     unsigned int options,
                     ArgumentsError *ret_error)
{
    for (size_t id = 0; id < N_OPTIONS; id++)
        if ((arguments->given & ~options & OPTION_BIT(id)) != 0)
            return FAIL(ret_error, "%s takes no --%s", arguments->command,
                        infos[id].name);
    return true;
}
