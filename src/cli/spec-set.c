#include "cli/spec-set.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "cli/site.h"

#define KEY_MAX 8192

static int read_one(const char *path, bool lenient, struct output *out, struct spec_list *ret,
                    struct err *err);
static int list_entries(struct spec_set *files, const char *const *paths, struct err *err);
static char *trimmed(const char *text);

int
spec_set_read(const char *const *paths, size_t n_paths, bool lenient, struct output *out,
              struct spec_set *ret, struct err *err)
{
    auto_spec_set struct spec_set files = { 0 };
    auto_free const char **names = calloc(n_paths + 1, sizeof *names);
    files.lists = calloc(n_paths + 1, sizeof *files.lists);
    if (!names || !files.lists)
        return err_errno(err, ENOMEM, "specs");
    for (size_t i = 0; i < n_paths; i++) {
        auto_free char *path = trimmed(paths[i]);
        if (!path)
            return err_errno(err, ENOMEM, "specs");
        if (!*path)
            continue;
        if (files.n_lists == SPEC_SET_MAX)
            return err_set(err, ERR_INVALID, "more than %d files of specs", SPEC_SET_MAX);
        names[files.n_lists] = paths[i];
        if (read_one(path, lenient, out, &files.lists[files.n_lists], err) < 0)
            return -1;
        files.n_lists++;
    }
    if (list_entries(&files, names, err) < 0)
        return -1;
    *ret = files;
    files = (struct spec_set){ 0 };
    return 0;
}

static char *
trimmed(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    return strndup(text, len);
}

static int
read_one(const char *path, bool lenient, struct output *out, struct spec_list *ret, struct err *err)
{
    auto_free char *text = NULL;
    size_t len = 0;
    if (file_read(path, SITE_FILE_MAX, &text, &len, err) < 0 ||
        spec_read(text, len, path, lenient, ret, err) < 0)
        return -1;
    site_warn(out, &ret->warnings);
    return 0;
}

static int
list_entries(struct spec_set *files, const char *const *paths, struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < files->n_lists; i++)
        n += files->lists[i].n;
    if (n > SPEC_MAX_SPECS)
        return err_set(err, ERR_INVALID, "%zu specs are more than %d", n, SPEC_MAX_SPECS);
    files->entries = calloc(n + 1, sizeof *files->entries);
    if (!files->entries)
        return err_errno(err, ENOMEM, "specs");
    for (size_t i = 0; i < files->n_lists; i++)
        for (size_t j = 0; j < files->lists[i].n; j++)
            files->entries[files->n++] =
                (struct spec_entry){ .file = paths[i], .spec = &files->lists[i].items[j] };
    return 0;
}

static int
by_key(const void *a, const void *b)
{
    const struct spec_entry *one = a, *two = b;
    return strcmp(one->key, two->key);
}

int
spec_set_keys(struct spec_set *files, const struct config *config, struct err *err)
{
    auto_free struct spec_entry *sorted = calloc(files->n + 1, sizeof *sorted);
    if (!sorted)
        return err_errno(err, ENOMEM, "specs");
    for (size_t i = 0; i < files->n; i++) {
        struct spec_entry *entry = &files->entries[i];
        struct buf key = BUF_INIT(KEY_MAX);
        if (spec_key(entry->spec, config, &key, err) < 0) {
            buf_free(&key);
            return err_prefix(err, "%s:%u", entry->file, entry->spec->line);
        }
        free(entry->key);
        entry->key = key.data;
        sorted[i] = *entry;
    }
    qsort(sorted, files->n, sizeof *sorted, by_key);
    for (size_t i = 1; i < files->n; i++)
        if (strcmp(sorted[i - 1].key, sorted[i].key) == 0)
            return err_set(err, ERR_INVALID, "%s:%u and %s:%u are the same machine (%s)",
                           sorted[i - 1].file, sorted[i - 1].spec->line, sorted[i].file,
                           sorted[i].spec->line, sorted[i].key);
    return 0;
}

void
spec_set_free(struct spec_set *files)
{
    for (size_t i = 0; i < files->n; i++)
        free(files->entries[i].key);
    for (size_t i = 0; i < files->n_lists; i++)
        spec_list_free(&files->lists[i]);
    free(files->entries);
    free(files->lists);
    *files = (struct spec_set){ 0 };
}

bool
spec_set_is_one(const char *word)
{
    static const char *const endings[] = { ".yaml", ".yml", ".json", NULL };
    struct stat st;
    if (strchr(word, '/') || (stat(word, &st) == 0 && S_ISREG(st.st_mode)))
        return true;
    size_t len = strlen(word);
    for (const char *const *ending = endings; *ending; ending++)
        if (len > strlen(*ending) && strcmp(word + len - strlen(*ending), *ending) == 0)
            return true;
    return false;
}

const char *
spec_entry_name(const struct spec_entry *entry)
{
    const struct spec_vm *vm = &entry->spec->vm;
    return vm->name ? vm->name : spec_machine(entry->spec);
}
