#include "cli/targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/url.h"

#define PAGE "1000"
#define PATH_MAX_BYTES 8192
#define MIGRATIONS_MAX 1000000

/* What is not among them is ended. */
#define NOT_ENDED "queued,running,waiting,asking,paused,retrying,failed"

static int list_name(struct daemon *daemon, const char *name, json_t *list, struct err *err);
static int list_named(struct targets *targets, struct err *err);
static int list_pages(struct daemon *daemon, const char *filter, json_t *list, struct err *err);

int
targets_read(const struct site_args *site, const struct selection_args *args, char *const *words,
             struct output *out, struct targets *ret, struct err *err)
{
    ret->out = out;
    if (site_read(site, out, &ret->config, err) < 0)
        return -1;
    return selection_read(args, words, site, out, &ret->config, &ret->selection, err);
}

static int
prepare(void *arg, struct err *err)
{
    struct targets *targets = arg;
    if (strcmp(targets->spec.mode, "look") != 0)
        return site_secrets(&targets->config, err);
    config_wipe(&targets->config); /* it needs none */
    return 0;
}

static void
pass_log(enum log_level level, const char *text, void *arg)
{
    struct targets *targets = arg;
    output_log(targets->out, level, text);
}

int
targets_open(struct targets *targets, const char *mode, struct err *err)
{
    daemon_close(&targets->daemon);
    targets->spec = (struct daemon_spec){
        .mode = mode,
        .config = &targets->config,
        .prepare = prepare,
        .log = pass_log,
        .arg = targets,
    };
    return daemon_open(&targets->spec, &targets->daemon, err);
}

static bool
has_key(const json_t *list, size_t from, const char *key)
{
    for (; from < json_array_size(list); from++)
        if (strcmp(json_get_str(json_array_get(list, from), "key", ""), key) == 0)
            return true;
    return false;
}

/* Those of the specs by the names in them, so that thousands of others stay where they are. 1: all
 * were found so; 0: one of them has another name, or no migration. */
static int
list_by_name(struct targets *targets, struct err *err)
{
    const struct spec_set *files = &targets->selection.files;
    for (size_t i = 0; i < files->n; i++) {
        const char *name = files->entries[i].spec->vm.name, *key = files->entries[i].key;
        size_t before = json_array_size(targets->list);
        if (!name || !key)
            return 0;
        if (list_name(&targets->daemon, name, targets->list, err) < 0)
            return -1;
        if (!has_key(targets->list, before, key))
            return 0;
    }
    return 1;
}

static int
list_wanted(struct targets *targets, bool ended, struct err *err)
{
    const struct selection *selection = &targets->selection;
    if (selection->files.n > 0 && selection->n_words == 0) {
        int r = list_by_name(targets, err);
        if (r != 0)
            return r < 0 ? -1 : 0;
        json_array_clear(targets->list);
    }
    if (selection->files.n + selection->vm_ids.n > 0)
        return list_pages(&targets->daemon, "", targets->list, err);
    if (selection_is_all(selection))
        return list_pages(&targets->daemon, ended ? "" : "&status=" NOT_ENDED, targets->list, err);
    return list_named(targets, err);
}

int
targets_find(struct targets *targets, const char *mode, bool ended, struct err *err)
{
    const struct selection *selection = &targets->selection;
    bool none =
        strcmp(mode, "look") == 0 && access(targets->config.store, F_OK) < 0 && errno == ENOENT;
    json_decref(targets->list);
    free(TAKE_PTR(targets->rows));
    targets->n = 0;
    targets->list = json_array();
    if (!targets->list)
        return err_errno(err, ENOMEM, "the list of migrations");
    if (!none && targets_open(targets, mode, err) < 0)
        return -1;
    if (!none && list_wanted(targets, ended, err) < 0)
        return -1;
    return selection_pick(selection, targets->list, &targets->rows, &targets->n, err);
}

void
targets_free(struct targets *targets)
{
    daemon_close(&targets->daemon);
    json_decref(targets->list);
    free(targets->rows);
    selection_free(&targets->selection);
    config_free(&targets->config);
}

int
targets_path(const char *id, const char *rest, char **ret, struct err *err)
{
    struct buf path = BUF_INIT(PATH_MAX_BYTES);
    if (buf_add_str(&path, "/migrations/", err) < 0 ||
        url_encode(id, URL_KEEP_NOTHING, &path, err) < 0 || buf_add_str(&path, rest, err) < 0) {
        buf_free(&path);
        return -1;
    }
    *ret = path.data;
    return 0;
}

/* ---- the list ---- */

static int
list_pages(struct daemon *daemon, const char *filter, json_t *list, struct err *err)
{
    auto_free char *after = NULL;
    do {
        auto_json json_t *page = NULL;
        auto_free char *path = NULL;
        if (asprintf(&path, "/migrations?limit=" PAGE "%s%s%s", filter, after ? "&after=" : "",
                     after ? after : "") < 0) {
            path = NULL;
            return err_errno(err, ENOMEM, "the list of migrations");
        }
        if (daemon_call(daemon, "GET", path, NULL, NULL, &page, err) < 0)
            return -1;
        if (json_array_extend(list, json_object_get(page, "migrations")) < 0 ||
            json_array_size(list) > MIGRATIONS_MAX)
            return err_set(err, ERR_INVALID, "%s: no list of migrations came", daemon->socket);
        free(TAKE_PTR(after));
        const char *next = json_get_str(page, "next", NULL);
        if (next && !(after = strdup(next)))
            return err_errno(err, ENOMEM, "the list of migrations");
    } while (after);
    return 0;
}

static int
list_name(struct daemon *daemon, const char *name, json_t *list, struct err *err)
{
    struct buf filter = BUF_INIT(PATH_MAX_BYTES);
    int r = buf_add_str(&filter, "&name=", err);
    if (r == 0)
        r = url_encode(name, URL_KEEP_NOTHING, &filter, err);
    if (r == 0)
        r = list_pages(daemon, filter.data, list, err);
    buf_free(&filter);
    return r;
}

/* Those that a word may mean: by id, or else by name, so that thousands of others stay where they
 * are. */
static int
list_word(struct daemon *daemon, const char *word, bool may_be_id, json_t *list, struct err *err)
{
    auto_free char *path = NULL;
    auto_json json_t *one = NULL;
    size_t before = json_array_size(list);
    int status = 0;
    if (may_be_id) {
        if (targets_path(word, "", &path, err) < 0)
            return -1;
        int r = daemon_call(daemon, "GET", path, NULL, &status, &one, err);
        if (r == 0)
            return json_array_append(list, one) < 0 ? err_errno(err, ENOMEM, "%s", word) : 0;
        if (status != 404 && status != 400)
            return -1;
        *err = ERR_INIT;
    }
    int r = list_name(daemon, word, list, err);
    if (r == 0 && json_array_size(list) == before) /* it was not found in the inventory yet */
        r = list_pages(daemon, "&status=" NOT_ENDED, list, err);
    return r;
}

static int
list_named(struct targets *targets, struct err *err)
{
    const struct selection *selection = &targets->selection;
    for (size_t i = 0; i < selection->n_words; i++)
        if (list_word(&targets->daemon, selection->words[i], true, targets->list, err) < 0)
            return -1;
    for (size_t i = 0; i < selection->vms.n; i++)
        if (list_word(&targets->daemon, selection->vms.values[i], false, targets->list, err) < 0)
            return -1;
    return 0;
}
