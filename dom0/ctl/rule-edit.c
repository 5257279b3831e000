/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/status.h"
#include "common/sys/rules-files.h"
#include "common/sys/rules-write.h"
#include "common/text.h"
#include "dom0/core/rule-lint.h"
#include "dom0/ctl/arguments.h"
#include "dom0/ctl/errors-view.h"
#include "dom0/ctl/qube-names.h"
#include "dom0/ctl/rule-edit.h"
#include "dom0/wire/report-wire.h"

#define ANSWER_MAX 16

static int fail(int r)
{
    errno = -r;
    (void) fprintf(stderr, CTL_NAME ": %m\n");
    return status_exit(STATUS_INTERNAL);
}

static int lint(const RuleEdit *edit, RuleBook *book)
{
    RuleLintHelp help = { .qubes = edit->qubes, .n_qubes = edit->n_qubes };

    help.files = rule_book_files(book, &help.n_files);
    return rule_lint(rule_book_rules(book), &help, rule_book_diagnostics(book));
}

static int complain_errors(const RuleEdit *edit)
{
    const Diagnostics *diagnostics = rule_book_diagnostics(edit->before);
    _cleanup_(freep) char *text =
        errors_format(diagnostics_get(diagnostics, 0));

    (void) fprintf(stderr,
                   "%s" CTL_NAME ": the rules have errors, nothing is changed; "
                   "put them right first, see " CTL_NAME " check\n",
                   text ? text : "");
    return EDIT_EXIT_REFUSED;
}

int rule_edit_begin(RuleEdit *ret,
                    const Arguments *arguments,
                    Terminal *terminal)
{
    int r;

    *ret = (RuleEdit){ .arguments = arguments, .terminal = terminal };
    r = rules_folder_find(&ret->folder, arguments);
    if (r == 0)
        r = rule_book_new(&ret->before);
    if (r == 0)
        r = rule_book_add_rules(ret->before, &ret->folder);
    if (r < 0)
        return fail(r);
    if (diagnostics_count(rule_book_diagnostics(ret->before)) > 0)
        return complain_errors(ret);
    ret->qubes = qube_names_ask(client_path(arguments), &ret->n_qubes);
    r = lint(ret, ret->before);
    return r < 0 ? fail(r) : 0;
}

void rule_edit_clear(RuleEdit *edit)
{
    rule_book_free(edit->before);
    rule_book_free(edit->after);
    free(edit->qubes);
    free(edit->path);
    free(edit->text);
    *edit = (RuleEdit){};
}

char *rule_edit_path(const RuleEdit *edit, const char *name)
{
    return rule_book_join(edit->folder.path, name);
}

const RulesFile *rule_edit_file(const RuleEdit *edit, const char *path)
{
    size_t n;
    const RulesFile *files = rule_book_files(edit->before, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(files[i].name, path) == 0)
            return &files[i];
    return NULL;
}

/* The changed file, at its place among the others. */
static int add_changed(RuleEdit *edit, bool *added)
{
    if (*added || !edit->text)
        return 0;
    *added = true;
    return rule_book_add_text(edit->after, edit->path, edit->text, edit->len);
}

static int read_after(RuleEdit *edit)
{
    size_t n;
    const RulesFile *files = rule_book_files(edit->before, &n);
    bool added = false;
    int r = rule_book_new(&edit->after);

    for (size_t i = 0; i < n && r == 0; i++) {
        int order = strcmp(files[i].name, edit->path);

        if (order >= 0)
            r = add_changed(edit, &added);
        if (r == 0 && order != 0)
            r = rule_book_add_text(edit->after, files[i].name,
                                   files[i].contents, files[i].len);
    }
    if (r == 0)
        r = add_changed(edit, &added);
    return r == 0 ? lint(edit, edit->after) : r;
}

int rule_edit_set(RuleEdit *edit, char *path, char *text, size_t len)
{
    edit->path = path;
    edit->text = text;
    edit->len = len;
    return path ? read_after(edit) : -ENOMEM;
}

/* Whether they differ at most in the line of another rule, which may have
 * moved: "(line 3)" or "(FILE:3)". */
static bool is_same_message(const char *a, const char *b)
{
    static const char digits[] = "0123456789";
    char before = '\0';

    while (*a && *b) {
        size_t n_a = strspn(a, digits), n_b = strspn(b, digits);

        if (n_a > 0 && n_b > 0 && a[n_a] == ')' && b[n_b] == ')' &&
            (before == ' ' || before == ':')) {
            a += n_a;
            b += n_b;
        }
        if (*a != *b)
            return false;
        before = *a;
        a++;
        b++;
    }
    return *a == *b;
}

/* Whether it was said before; lines may have moved. */
static bool is_old(const RuleEdit *edit, const Diagnostic *diagnostic)
{
    const Diagnostics *before = rule_book_diagnostics(edit->before);

    for (size_t i = 0; i < diagnostics_count(before); i++) {
        const Diagnostic *old = diagnostics_get(before, i);

        if (old->level == diagnostic->level &&
            strcmp(old->file, diagnostic->file) == 0 &&
            is_same_message(old->message, diagnostic->message))
            return true;
    }
    return false;
}

json_t *rule_edit_news(const RuleEdit *edit, size_t *ret_n_errors)
{
    const Diagnostics *after = rule_book_diagnostics(edit->after);
    json_t *list = json_array();

    *ret_n_errors = diagnostics_count_level(after, DIAGNOSTIC_ERROR);
    for (size_t i = 0; list && i < diagnostics_count(after); i++) {
        const Diagnostic *diagnostic = diagnostics_get(after, i);

        if (!is_old(edit, diagnostic) &&
            json_array_append_new(list, diagnostic_to_json(diagnostic)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

void rule_edit_print_news(const RuleEdit *edit)
{
    const Diagnostics *after = rule_book_diagnostics(edit->after);

    for (size_t i = 0; i < diagnostics_count(after); i++) {
        const Diagnostic *diagnostic = diagnostics_get(after, i);
        _cleanup_(freep) char *text = NULL;

        if (is_old(edit, diagnostic))
            continue;
        text = errors_format(diagnostic);
        (void) fputs(text ? text : "", stderr);
    }
}

json_t *rule_edit_errors(const RuleEdit *edit)
{
    const Diagnostics *before = rule_book_diagnostics(edit->before);
    json_t *list = json_array();

    for (size_t i = 0; list && i < diagnostics_count(before); i++) {
        const Diagnostic *diagnostic = diagnostics_get(before, i);

        if (diagnostic->level == DIAGNOSTIC_ERROR &&
            json_array_append_new(list, diagnostic_to_json(diagnostic)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

bool rule_edit_shows(const RuleEdit *edit, Terminal *ret)
{
    *ret = *edit->terminal;
    if (!arguments_have(edit->arguments, OPTION_JSON) &&
        !arguments_have(edit->arguments, OPTION_QUIET))
        return true;
    terminal_init(ret, stderr);
    return arguments_have(edit->arguments, OPTION_INTERACTIVE);
}

bool rule_edit_agree(const RuleEdit *edit, const char *question)
{
    char answer[ANSWER_MAX];

    if (!arguments_have(edit->arguments, OPTION_INTERACTIVE))
        return true;
    (void) fflush(edit->terminal->out);
    (void) fprintf(stderr, "%s [y/N] ", question);
    return fgets(answer, sizeof(answer), stdin) &&
           (strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 ||
            strcmp(answer, "yes\n") == 0);
}

/* As a shell reads it as one word. */
static size_t quote_word(char *ret, size_t size, const char *word)
{
    size_t len = 0;

    if (word[0] != '\0' &&
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789-_./:,=@%+") == strlen(word))
        return text_format(ret, size, " %s", word);

    len += text_format(ret, size, " '");
    for (; *word; word++)
        len += text_format(ret + len, size - len,
                           *word == '\'' ? "'\\''" : "%c", *word);
    return len + text_format(ret + len, size - len, "'");
}

/* Those that change what is printed, or wait, are not needed there. */
static bool is_needed(OptionId option)
{
    return option != OPTION_JSON && option != OPTION_QUIET &&
           option != OPTION_VERBOSE && option != OPTION_INTERACTIVE;
}

const char *rule_edit_command(const RuleEdit *edit, ShowText *ret)
{
    const Arguments *arguments = edit->arguments;
    char text[SHOW_TEXT_MAX + 1];
    size_t size = sizeof(text);
    size_t len =
        text_format(text, size, "sudo " CTL_NAME " %s", arguments->command);

    for (size_t i = 0; i < arguments->n_operands; i++)
        len += quote_word(text + len, size - len, arguments->operands[i]);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        OptionId id = (OptionId) i;

        if (!arguments_have(arguments, id) || !is_needed(id))
            continue;
        len += text_format(text + len, size - len, " --%s",
                           arguments_option_name(id));
        if (arguments->values[i])
            len += quote_word(text + len, size - len, arguments->values[i]);
    }
    show_text(ret, text, edit->terminal->has_utf8);
    return len + 1 < size && strcmp(ret->s, text) == 0 ? ret->s : NULL;
}

static int complain_right(const RuleEdit *edit)
{
    ShowText path, shown;
    const char *command = rule_edit_command(edit, &shown);

    (void) fprintf(stderr, CTL_NAME ": you may not write to %s; run%s%s\n",
                   show_text(&path, edit->folder.path, false),
                   command ? ":\n    " : " the same with sudo",
                   command ? command : "");
    return status_exit(STATUS_UNAVAILABLE);
}

/* Whether the file is still as it was read: an editor may have saved it, and
 * with -i there was time for that. */
static bool is_unchanged(const RuleEdit *edit)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    const RulesFile *before = rule_edit_file(edit, edit->path), *now;
    struct stat st;

    if (!before)
        return lstat(edit->path, &st) < 0 && errno == ENOENT;
    if (rules_files_read_one(&files, edit->path, RULES_OWNER_ANY) < 0)
        return false;
    now = &files->files[0];
    return !now->error && now->len == before->len &&
           memcmp(now->contents, before->contents, now->len) == 0;
}

int rule_edit_commit(const RuleEdit *edit)
{
    ShowText path;
    int r = rules_folder_is_writable(edit->folder.path);

    if (r == 0 && !is_unchanged(edit)) {
        (void) fprintf(stderr,
                       CTL_NAME ": %s was changed meanwhile, nothing is "
                                "written; run this again\n",
                       show_text(&path, edit->path, false));
        return status_exit(STATUS_UNAVAILABLE);
    }
    if (r == 0)
        r = edit->text ? rules_file_write(edit->path, edit->text, edit->len)
                       : rules_file_delete(edit->path);
    if (r == 0)
        return 0;
    if (r == -EACCES || r == -EPERM || r == -EROFS)
        return complain_right(edit);
    errno = -r;
    (void) fprintf(stderr, CTL_NAME ": cannot write %s: %m\n",
                   show_text(&path, edit->path, false));
    return status_exit(STATUS_UNAVAILABLE);
}

/* The daemon has read them: does it take them? */
static bool complain_reload(const RuleEdit *edit, const json_t *rules)
{
    ShowText shown;
    View view;
    Terminal terminal;

    if (!rules_folder_is(&edit->folder, member_text(rules, "directory"))) {
        (void) fprintf(
            stderr,
            CTL_NAME ": the daemon reads its rules from another "
                     "folder, %s\n",
            show_text(&shown, member_text(rules, "directory"), false));
        return false;
    }
    if (!member_flag(rules, "failed"))
        return true;
    (void) fprintf(stderr,
                   CTL_NAME ": the daemon does not take the rules, %s:\n",
                   errors_consequence(rules));
    terminal_init(&terminal, stderr);
    view_init(&view, &terminal, 0, true);
    errors_view(&view, rules, VIEW_INDENT);
    return false;
}

bool rule_edit_tell_daemon(const RuleEdit *edit)
{
    _cleanup_(json_decrefp) json_t *reply = NULL;
    ClientError error;

    if (client_call(&reply, &error, client_path(edit->arguments), "Reload",
                    json_object()) < 0) {
        (void) fprintf(stderr,
                       CTL_NAME ": the rules are changed on the disk, but %s\n",
                       error.s);
        return false;
    }
    return complain_reload(edit, json_object_get(reply, "rules"));
}
