#include "cli/selection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How a migration is asked for. */
struct wish {
    const char *what; /* "--vm", "--vm-id", "" for a word */
    const char *text;
    bool (*fits)(const struct migration *m, const char *text);
};

struct pick {
    const struct selection *selection;
    const json_t *list;
    struct selected *rows;
    size_t n, cap;
};

static int pick_of_specs(struct pick *pick, struct err *err);
static int pick_one(struct pick *pick, const struct wish *wish, struct err *err);
static int pick_all(struct pick *pick, struct err *err);
static size_t sort_rows(struct selected *rows, size_t n);

/* ---- what is asked for ---- */

int
selection_read(const struct selection_args *args, char *const *words, const struct site_args *site,
               struct output *out, const struct config *config, struct selection *ret,
               struct err *err)
{
    auto_selection struct selection selection = { .vms = args->vms, .vm_ids = args->vm_ids };
    size_t n_words = 0, n_paths = args->specs.n;
    while (words[n_words])
        n_words++;
    auto_free const char **paths = calloc(n_paths + n_words + 1, sizeof *paths);
    selection.words = calloc(n_words + 1, sizeof *selection.words);
    if (!paths || !selection.words)
        return err_errno(err, ENOMEM, "the command line");
    memcpy(paths, args->specs.values, n_paths * sizeof *paths);
    for (size_t i = 0; i < n_words; i++)
        if (spec_set_is_one(words[i]))
            paths[n_paths++] = words[i];
        else
            selection.words[selection.n_words++] = words[i];
    if (spec_set_read(paths, n_paths, site->lenient, out, &selection.files, err) < 0)
        return -1;
    /* Without a vCenter in the config there are no keys, and names must do. */
    if ((config->has_vcenter || config->n_vcenters > 0) &&
        spec_set_keys(&selection.files, config, err) < 0)
        return -1;
    *ret = selection;
    selection = (struct selection){ 0 };
    return 0;
}

void
selection_free(struct selection *selection)
{
    spec_set_free(&selection->files);
    free(selection->words);
    selection->words = NULL;
}

bool
selection_is_all(const struct selection *selection)
{
    return selection->files.n + selection->n_words + selection->vms.n + selection->vm_ids.n == 0;
}

/* ---- what fits ---- */

static bool
fits_name(const struct migration *m, const char *text)
{
    return strcmp(m->name, text) == 0;
}

static bool
fits_moref(const struct migration *m, const char *text)
{
    return m->moref && strcmp(m->moref, text) == 0;
}

static bool
fits_word(const struct migration *m, const char *text)
{
    return strcmp(m->id, text) == 0 || fits_name(m, text);
}

static bool
fits_key(const struct migration *m, const char *text)
{
    return m->key && strcmp(m->key, text) == 0;
}

static bool
is_in(const struct opt_list *list, const char *text)
{
    for (size_t i = 0; text && i < list->n; i++)
        if (strcmp(list->values[i], text) == 0)
            return true;
    return false;
}

static bool
same_machine(const struct migration *a, const struct migration *b)
{
    if (a->moref && b->moref && a->server && b->server)
        return strcmp(a->moref, b->moref) == 0 && strcmp(a->server, b->server) == 0;
    return a->key && b->key && strcmp(a->key, b->key) == 0;
}

/* ---- pick ---- */

int
selection_pick(const struct selection *selection, const json_t *list, struct selected **ret,
               size_t *ret_n, struct err *err)
{
    struct pick pick = { .selection = selection, .list = list };
    int r = 0;
    bool in_specs = selection->files.n > 0;
    if (selection_is_all(selection))
        r = pick_all(&pick, err);
    else if (in_specs)
        r = pick_of_specs(&pick, err);
    for (size_t i = 0; r == 0 && !in_specs && i < selection->vms.n; i++)
        r = pick_one(&pick, &(struct wish){ "--vm ", selection->vms.values[i], fits_name }, err);
    for (size_t i = 0; r == 0 && !in_specs && i < selection->vm_ids.n; i++)
        r = pick_one(&pick, &(struct wish){ "--vm-id ", selection->vm_ids.values[i], fits_moref },
                     err);
    for (size_t i = 0; r == 0 && i < selection->n_words; i++)
        r = pick_one(&pick, &(struct wish){ "", selection->words[i], fits_word }, err);
    if (r == 0 && pick.n == 0 && !selection_is_all(selection))
        r = err_set(err, ERR_NOT_FOUND, "nothing is left of the machines in the specs");
    if (r < 0) {
        free(pick.rows);
        return -1;
    }
    *ret = pick.rows;
    *ret_n = sort_rows(pick.rows, pick.n);
    return 0;
}

static int
add(struct pick *pick, const char *name, const json_t *json, struct err *err)
{
    if (pick->n == pick->cap) {
        size_t cap = pick->cap ? 2 * pick->cap : 16;
        struct selected *rows = realloc(pick->rows, cap * sizeof *rows);
        if (!rows)
            return err_errno(err, ENOMEM, "the list of migrations");
        pick->rows = rows;
        pick->cap = cap;
    }
    pick->rows[pick->n++] = (struct selected){ .name = name, .json = json };
    return 0;
}

static int
pick_all(struct pick *pick, struct err *err)
{
    size_t i;
    const json_t *json;
    json_array_foreach (pick->list, i, json) {
        struct migration m;
        migration_read(json, &m);
        if (add(pick, m.name, json, err) < 0)
            return -1;
    }
    return 0;
}

/* Of those that fit, the one that has not ended, or else the newest (they come in the order in
 * which they were made). *ret_other (may be NULL) is another machine's that is as good. */
static const json_t *
find(const json_t *list, bool (*fits)(const struct migration *m, const char *text),
     const char *text, const json_t **ret_other)
{
    const json_t *best = NULL, *other = NULL, *json;
    bool best_ended = true;
    size_t i;
    json_array_foreach (list, i, json) {
        struct migration m, b;
        migration_read(json, &m);
        bool ended = job_status_is_ended(m.status);
        if (!fits(&m, text) || (ended && !best_ended))
            continue;
        if (best && ended == best_ended) {
            migration_read(best, &b);
            if (!same_machine(&m, &b))
                other = best;
        } else {
            other = NULL;
        }
        best = json;
        best_ended = ended;
    }
    if (ret_other)
        *ret_other = other;
    return best;
}

static int
pick_one(struct pick *pick, const struct wish *wish, struct err *err)
{
    const json_t *other, *json = find(pick->list, wish->fits, wish->text, &other);
    struct migration m, o;
    if (!json)
        return err_set(err, ERR_NOT_FOUND,
                       "%s%s: there is no migration of that id or machine; 'vmferry status --all' "
                       "lists them",
                       wish->what, wish->text);
    migration_read(json, &m);
    if (!other)
        return add(pick, m.name, json, err);
    migration_read(other, &o);
    return err_set(err, ERR_INVALID,
                   "%s%s is the name of several machines: say which by --vm-id, or by the id of "
                   "the migration: %s (%s), %s (%s)",
                   wish->what, wish->text, o.id, o.moref ? o.moref : "?", m.id,
                   m.moref ? m.moref : "?");
}

/* --vm and --vm-id choose among the specs. */
static int
check_names(const struct selection *selection, struct err *err)
{
    for (size_t i = 0; i < selection->vms.n; i++) {
        bool found = false;
        for (size_t j = 0; j < selection->files.n && !found; j++)
            found = strcmp(spec_entry_name(&selection->files.entries[j]),
                           selection->vms.values[i]) == 0;
        if (!found)
            return err_set(err, ERR_NOT_FOUND, "--vm %s: there is no such machine in the specs",
                           selection->vms.values[i]);
    }
    return 0;
}

static const json_t *
find_spec(const json_t *list, const struct spec_entry *entry)
{
    const struct spec_vm *vm = &entry->spec->vm;
    if (entry->key)
        return find(list, fits_key, entry->key, NULL);
    return vm->moref ? find(list, fits_moref, vm->moref, NULL)
                     : find(list, fits_name, spec_entry_name(entry), NULL);
}

static int
pick_of_specs(struct pick *pick, struct err *err)
{
    const struct selection *selection = pick->selection;
    if (check_names(selection, err) < 0)
        return -1;
    for (size_t i = 0; i < selection->files.n; i++) {
        const struct spec_entry *entry = &selection->files.entries[i];
        const char *name = spec_entry_name(entry);
        if (selection->vms.n > 0 && !is_in(&selection->vms, name))
            continue;
        const json_t *json = find_spec(pick->list, entry);
        const char *moref = json_get_str(json, "moref", entry->spec->vm.moref);
        if (selection->vm_ids.n > 0 && !is_in(&selection->vm_ids, moref))
            continue;
        if (add(pick, name, json, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- in order ---- */

static int
compare(const void *one, const void *two)
{
    const struct selected *a = one, *b = two;
    int by_name = strcmp(a->name, b->name);
    if (by_name)
        return by_name;
    int by_moref = strcmp(json_get_str(a->json, "moref", ""), json_get_str(b->json, "moref", ""));
    return by_moref ? by_moref
                    : strcmp(json_get_str(a->json, "id", ""), json_get_str(b->json, "id", ""));
}

static bool
same_id(const json_t *a, const json_t *b)
{
    return strcmp(json_get_str(a, "id", ""), json_get_str(b, "id", "")) == 0;
}

static size_t
sort_rows(struct selected *rows, size_t n)
{
    size_t kept = 0;
    if (n > 0)
        qsort(rows, n, sizeof *rows, compare);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !rows[i].json || !same_id(rows[i].json, rows[kept - 1].json))
            rows[kept++] = rows[i];
    return kept;
}
