/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Replay: run a fuzz target over files, without a fuzzer
 *
 * Takes files and folders of files. A property that does not hold ends the
 * program; no input at all is an error too. So is a name that is not true: what
 * is called "good-..." or "wire-..." must be taken, and "bad-..." must not; the
 * same goes for all files of a folder "good" or "bad".
 */

#include <ftw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/taken.h"

#define N_OPEN_FOLDERS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay(const char *path, size_t size)
{
    FILE *file = fopen(path, "rbe");
    /* of the exact size, so that a sanitizer sees what is beyond */
    uint8_t *data = malloc(size ? size : 1);
    bool good = file && data && fread(data, 1, size, file) == size;

    if (good) {
        /* the name stays on the screen if the target ends the program */
        printf("%s\n", path);
        (void) fflush(stdout);
        (void) LLVMFuzzerTestOneInput(data, size);
    } else {
        perror(path);
    }
    if (file)
        (void) fclose(file);
    free(data);
    return good;
}

static bool begins(const char *name, const char *word)
{
    return strncmp(name, word, strlen(word)) == 0;
}

/* Whether the file was taken, or not, as its name and its folder's say. */
static bool is_named_truly(const char *path, const char *name)
{
    const char *folder = name > path ? name - 1 : path;
    bool good, bad;

    while (folder > path && folder[-1] != '/')
        folder--;
    good = begins(name, "good-") || begins(name, "wire-") ||
           begins(folder, "good/");
    bad = begins(name, "bad-") || begins(folder, "bad/");
    if ((!good || fuzz_was_taken()) && (!bad || !fuzz_was_taken()))
        return true;
    fprintf(stderr, "%s: is %s\n", path,
            fuzz_was_taken() ? "taken" : "not taken");
    return false;
}

static int on_entry(const char *path,
                    const struct stat *st,
                    int type,
                    struct FTW *place)
{
    if (type == FTW_D || type == FTW_DP)
        return 0;
    if (type != FTW_F)
        return 1;
    if (!replay(path, (size_t) st->st_size))
        return 1;
    return is_named_truly(path, path + place->base) ? 0 : 1;
}

int main(int argc, char *argv[])
{
    if (argc < 2) {
        fprintf(stderr, "Usage: %s FILE|FOLDER...\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (int i = 1; i < argc; i++)
        if (nftw(argv[i], on_entry, N_OPEN_FOLDERS, FTW_PHYS) != 0) {
            fprintf(stderr, "%s: cannot be replayed\n", argv[i]);
            return EXIT_FAILURE;
        }
    return EXIT_SUCCESS;
}
