/* main() for a fuzz target without libFuzzer: gives it the files named, and those in the
 * directories named. No file at all is a failure: it would be a test that tests nothing. */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"

#define SEED_MAX_BYTES (64 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay_file(const char *path, size_t *n)
{
    struct err err = ERR_INIT;
    auto_free char *data = NULL;
    size_t len;
    if (file_read(path, SEED_MAX_BYTES, &data, &len, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput((const uint8_t *)data, len);
    (*n)++;
    return 0;
}

static int
replay(const char *path, size_t *n)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        return errno == ENOTDIR ? replay_file(path, n) : (perror(path), -1);
    int r = 0;
    for (int i = 0; i < count; i++) {
        auto_free char *file = NULL;
        if (entries[i]->d_name[0] != '.' && r == 0)
            r = asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0 ? -1 : replay_file(file, n);
        free(entries[i]);
    }
    free(entries);
    return r;
}

int
main(int argc, char **argv)
{
    size_t n = 0;
    for (int i = 1; i < argc; i++)
        if (replay(argv[i], &n) < 0)
            return 1;
    printf("%zu inputs\n", n);
    return n > 0 ? 0 : 1;
}
