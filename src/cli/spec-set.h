/* The specs that a command line names: several files, each with one spec or several. */
#ifndef CLI_SPEC_SET_H
#define CLI_SPEC_SET_H

#include "cli/option.h"
#include "cli/output.h"
#include "model/config.h"
#include "model/spec.h"

#define SPEC_SET_MAX 1024 /* files; specs in all of them as many as 4096 */

struct spec_entry {
    const char *file;
    const struct spec *spec;
    char *key; /* spec_key; NULL before spec_set_keys */
};

struct spec_set {
    size_t n_lists, n;
    struct spec_list *lists; /* one a file */
    struct spec_entry *entries;
};

/* Read all files. Blanks around a name are cut off, and an empty name is none, as v2c-engine does.
 * Warnings go to out. *ret must be zero before; the caller frees it. ERR_INVALID: of spec_read;
 * ERR_IO and kin: of the file. */
int spec_set_read(const char *const *paths, size_t n_paths, bool lenient, struct output *out,
                  struct spec_set *ret, struct err *err);

/* Find out their keys. ERR_INVALID: two of them are the same machine, or one's vCenter is none of
 * the config's. */
int spec_set_keys(struct spec_set *files, const struct config *config, struct err *err);

void spec_set_free(struct spec_set *files);
#define auto_spec_set AUTO(spec_set_free)

/* Whether a word on the command line names a file of specs, rather than a machine or the id of a
 * migration: there is such a file, or it is written like one (a slash, ".yaml", ".yml", ".json").
 */
bool spec_set_is_one(const char *word);

/* The name that a person gave the machine, or else its path, UUID or moref. Borrowed. */
const char *spec_entry_name(const struct spec_entry *entry);

#endif
