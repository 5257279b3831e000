/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Replay: run a fuzz target over files, without a fuzzer
 *
 * Takes files and folders of files. A property that does not hold ends the
 * program; no input at all is an error too.
 */

#include <ftw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

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

static int on_entry(const char *path,
                    const struct stat *st,
                    int type,
                    struct FTW *place)
{
    (void) place;

    if (type == FTW_D || type == FTW_DP)
        return 0;
    if (type != FTW_F)
        return 1;
    return replay(path, (size_t) st->st_size) ? 0 : 1;
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
