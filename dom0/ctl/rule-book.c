/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.h"
#include "dom0/ctl/rule-book.h"

#define FILES_FIRST 16U

struct RuleBook {
    Ruleset *ruleset;
    Diagnostics *diagnostics;
    RulesFile *files; /* their names are paths */
    size_t n_files;
    size_t files_size;
};

int rule_book_new(RuleBook **ret)
{
    _cleanup_(rule_book_freep) RuleBook *book = calloc(1, sizeof(*book));
    int r;

    if (!book)
        return -ENOMEM;
    r = ruleset_new(&book->ruleset);
    if (r == 0)
        r = diagnostics_new(&book->diagnostics);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(book);
    return 0;
}

RuleBook *rule_book_free(RuleBook *book)
{
    if (!book)
        return NULL;

    for (size_t i = 0; i < book->n_files; i++) {
        free(book->files[i].name);
        free(book->files[i].contents);
    }
    free(book->files);
    ruleset_unref(book->ruleset);
    diagnostics_free(book->diagnostics);
    free(book);
    return NULL;
}

char *rule_book_join(const char *folder, const char *name)
{
    size_t len = strlen(folder);
    size_t size = len + strlen(name) + 2;
    char *path = malloc(size);
    bool has_slash = len > 0 && folder[len - 1] == '/';

    if (path)
        (void) text_format(path, size, "%s%s%s", folder, has_slash ? "" : "/",
                           name);
    return path;
}

static int add_error(RuleBook *book, const char *path, const char *message)
{
    return diagnostics_add(book->diagnostics, DIAGNOSTIC_ERROR, path, 0, 0,
                           NULL, 0, message);
}

/* Whether @owner, who is not root, can read it. @needs are bits of S_IRWXO. */
static bool owner_can(const struct stat *status, uid_t owner, mode_t needs)
{
    mode_t mode = status->st_mode;

    if (status->st_uid == owner)
        return (mode >> 6 & needs) == needs;
    /* may be in the file's group, but not in that of root */
    return (mode & needs) == needs ||
           (status->st_gid != 0 && (mode >> 3 & needs) == needs);
}

/* What can be read here, the daemon may not be able to. */
static int check_access(RuleBook *book, const char *path, uid_t owner)
{
    char message[DIAGNOSTIC_MESSAGE_MAX + 1];
    struct stat status;
    bool is_folder;

    if (owner == 0 || owner == RULES_OWNER_ANY || stat(path, &status) < 0)
        return 0;
    is_folder = S_ISDIR(status.st_mode);
    if (owner_can(&status, owner, is_folder ? S_IROTH | S_IXOTH : S_IROTH))
        return 0;

    (void) text_format(message, sizeof(message),
                       "the daemon, which is user %u, cannot read the %s; "
                       "run: sudo chmod %s %s",
                       (unsigned int) owner, is_folder ? "folder" : "file",
                       is_folder ? "a+rx" : "a+r", path);
    return add_error(book, path, message);
}

static int make_room(RuleBook *book)
{
    size_t size = book->files_size > 0 ? 2 * book->files_size : FILES_FIRST;
    RulesFile *larger;

    if (book->n_files < book->files_size)
        return 0;
    larger = realloc(book->files, size * sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    book->files = larger;
    book->files_size = size;
    return 0;
}

/* Takes over @contents, also when it fails. */
static int take_file(RuleBook *book,
                     const char *path,
                     char *contents,
                     size_t len)
{
    RulesFile file = { .name = strdup(path), .contents = contents, .len = len };
    int r = file.name ? make_room(book) : -ENOMEM;

    if (r < 0) {
        free(file.name);
        free(contents);
        return r;
    }
    book->files[book->n_files++] = file;
    return ruleset_add_file(book->ruleset, path, contents, len,
                            book->diagnostics);
}

static int add_file(RuleBook *book, const char *path, RulesFile *file)
{
    if (file->error)
        return add_error(book, path, file->error);
    return take_file(book, path, TAKE_PTR(file->contents), file->len);
}

static int add_folder(RuleBook *book, const char *folder, uid_t owner)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    int r = rules_files_read(&files, folder, owner);
    bool is_wrong = false;

    if (r == -ENOENT)
        return add_error(book, folder, "there is no such file or folder");
    if (r < 0)
        return r;

    for (size_t i = 0; i < files->n_files; i++) {
        RulesFile *file = &files->files[i];
        _cleanup_(freep) char *path = NULL;

        /* what is wrong with the folder itself has its path as name */
        path = strcmp(file->name, folder) == 0
                   ? strdup(folder)
                   : rule_book_join(folder, file->name);
        if (!path)
            return -ENOMEM;
        r = add_file(book, path, file);
        if (r == 0 && !file->error)
            r = check_access(book, path, owner);
        is_wrong |= strcmp(path, folder) == 0;
        if (r < 0)
            return r;
    }
    return is_wrong ? 0 : check_access(book, folder, owner);
}

static int add_input(RuleBook *book, const char *name)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    int r = rules_files_read_stream(&files, name, STDIN_FILENO);

    return r < 0 ? r : add_file(book, name, &files->files[0]);
}

int rule_book_add(RuleBook *book, const char *path, uid_t owner)
{
    _cleanup_(rules_files_freep) RulesFiles *files = NULL;
    struct stat st;
    int r;

    if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdin") == 0)
        return add_input(book, path);
    /* a path that is not there gets its error with those of folders */
    if (stat(path, &st) < 0 ? errno == ENOENT : S_ISDIR(st.st_mode))
        return add_folder(book, path, owner);

    r = rules_files_read_one(&files, path, owner);
    for (size_t i = 0; r == 0 && i < files->n_files; i++)
        r = add_file(book, path, &files->files[i]);
    if (r == 0 && !files->files[0].error)
        r = check_access(book, path, owner);
    return r;
}

int rule_book_add_rules(RuleBook *book, const RulesFolder *folder)
{
    char message[DIAGNOSTIC_MESSAGE_MAX + 1];
    struct stat st;

    if (folder->is_given || stat(folder->path, &st) == 0 || errno != ENOENT)
        return rule_book_add(book, folder->path, folder->owner);
    (void) text_format(message, sizeof(message),
                       "there is no such folder; to make it: " RULES_FOLDER_MAKE
                       " %s",
                       folder->path);
    return add_error(book, folder->path, message);
}

int rule_book_add_text(RuleBook *book,
                       const char *path,
                       const char *text,
                       size_t len)
{
    char *copy = malloc(len + 1);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return take_file(book, path, copy, len);
}

const Ruleset *rule_book_rules(const RuleBook *book)
{
    return book->ruleset;
}

Diagnostics *rule_book_diagnostics(const RuleBook *book)
{
    return book->diagnostics;
}

const RulesFile *rule_book_files(const RuleBook *book, size_t *ret_n)
{
    *ret_n = book->n_files;
    return book->files;
}
