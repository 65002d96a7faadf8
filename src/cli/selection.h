/* Which migrations a command is about: by --spec, by id, by the name or the moref of the machine.
 */
#ifndef CLI_SELECTION_H
#define CLI_SELECTION_H

#include "cli/migration.h"
#include "cli/site.h"
#include "cli/spec-set.h"

/* The fields that options fill. */
struct selection_args {
    struct opt_list specs, vms, vm_ids;
};

/* Rows for a command's table of options; STRUCT has a `struct selection_args selection`. */
#define SELECTION_FIELD(STRUCT, name)                                                              \
    (offsetof(STRUCT, selection) + offsetof(struct selection_args, name))
#define SELECTION_OPTIONS(STRUCT)                                                                  \
    { 0, "spec", "FILE", OPT_LIST, SELECTION_FIELD(STRUCT, specs), "the machines of this spec" },  \
        { 0,                                                                                       \
          "vm",                                                                                    \
          "NAME",                                                                                  \
          OPT_LIST,                                                                                \
          SELECTION_FIELD(STRUCT, vms),                                                            \
          "the machine of this name (of those of --spec, if there is one)" },                      \
    {                                                                                              \
        0, "vm-id", "MOREF", OPT_LIST, SELECTION_FIELD(STRUCT, vm_ids),                            \
            "the machine with this managed object id, vm-123"                                      \
    }

/* What is asked for, before it is known what there is. Words and names are borrowed. */
struct selection {
    struct spec_set files;
    size_t n_words;
    const char **words; /* ids or names */
    struct opt_list vms, vm_ids;
};

/* Sort the words of the command line into specs and names, and read the specs. *ret must be zero
 * before; the caller frees it. */
int selection_read(const struct selection_args *args, char *const *words,
                   const struct site_args *site, struct output *out, const struct config *config,
                   struct selection *ret, struct err *err);
void selection_free(struct selection *selection);
#define auto_selection AUTO(selection_free)

/* Nothing was named: all of them are meant, or it is an error. */
bool selection_is_all(const struct selection *selection);

/* One that was found: of a spec, maybe without a migration. */
struct selected {
    const char *name;   /* borrowed from the selection or the JSON */
    const json_t *json; /* borrowed from the list; NULL: not started */
};

/* Pick from the list of all migrations (an array). *ret has *ret_n of them, sorted by name and
 * moref, each once; the caller frees it.
 *
 * A word is an id, or the name of a machine. Of several migrations of one machine the one that has
 * not ended is meant, or else the newest. ERR_NOT_FOUND: a word or a name is none's, or nothing is
 * left; ERR_INVALID: a name is that of several machines, and the text has their ids. */
int selection_pick(const struct selection *selection, const json_t *list, struct selected **ret,
                   size_t *ret_n, struct err *err);

#endif
