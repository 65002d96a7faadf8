#include "platform/cloudstack-find.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "model/vm.h"

#define OFFERED_MAX 8
#define OFFERED_TEXT_MAX 400
#define WHAT_MAX 384

struct search {
    const struct cloudstack_kind *kind;
    const char *text;
    bool by_id;
    size_t n_seen, n_found;
    json_t *found; /* the first of them */
    /* "a, b": those that are there, and "a (UUID), ..." those that are it. */
    size_t offered_len, candidates_len;
    char offered[OFFERED_TEXT_MAX], candidates[OFFERED_TEXT_MAX];
};

static cloudstack_row_fn look_at_row;
static int not_one(const struct cloudstack *cloud, const struct search *search, struct err *err);

int
cloudstack_find(struct cloudstack *cloud, const struct cloudstack_kind *kind,
                const struct cloudstack_param *scope, size_t n_scope, const char *text,
                json_t **ret, struct err *err)
{
    char uuid[VM_UUID_MAX], what[WHAT_MAX];
    struct err why = ERR_INIT;
    struct search search = { .kind = kind, .text = text };
    struct cloudstack_call call = { .command = kind->command, .what = what };
    size_t n = 0;
    search.by_id = *text != '{' && vm_uuid_parse(text, uuid, &why) == 0;
    snprintf(what, sizeof what, "find the %s '%.200s'", kind->noun, text);
    for (; n < n_scope && n < CLOUDSTACK_CALL_PARAMS - 1; n++)
        call.params[n] = scope[n];
    if (search.by_id)
        call.params[n] = (struct cloudstack_param){ "id", text };
    int r = cloudstack_list(cloud, &call, kind->object, look_at_row, &search, err);
    auto_json json_t *found = search.found;
    /* A UUID that nothing has is a parameter that it does not take. */
    if (r < 0 && !(search.by_id && cloud->code == 431))
        return -1;
    if (r < 0)
        *err = ERR_INIT;
    if (search.n_found != 1)
        return not_one(cloud, &search, err);
    *ret = TAKE_PTR(found);
    return 0;
}

static void __attribute__((format(printf, 3, 4)))
add_name(char text[OFFERED_TEXT_MAX], size_t *len, const char *fmt, ...)
{
    va_list args;
    if (*len + 3 >= OFFERED_TEXT_MAX)
        return;
    if (*len > 0)
        *len += (size_t)snprintf(text + *len, OFFERED_TEXT_MAX - *len, ", ");
    va_start(args, fmt);
    int n = vsnprintf(text + *len, OFFERED_TEXT_MAX - *len, fmt, args);
    va_end(args);
    *len += n > 0 ? (size_t)n : 0;
}

static bool
is_meant(const struct search *search, const json_t *row)
{
    const char *fields[] = { search->kind->name, search->kind->other_name };
    if (search->by_id)
        return cloudstack_is(row, "id", search->text);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i] && strcmp(json_get_str(row, fields[i], ""), search->text) == 0)
            return true;
    return false;
}

static int
look_at_row(const json_t *row, void *arg, struct err *err)
{
    struct search *search = arg;
    const struct cloudstack_kind *kind = search->kind;
    const char *other = kind->other_name ? json_get_str(row, kind->other_name, NULL) : NULL;
    const char *name = other ? other : json_get_str(row, kind->name, "?");
    const char *id = json_get_str(row, "id", NULL);
    if (!id || strlen(id) >= CLOUDSTACK_ID_MAX)
        return err_set(err, ERR_INVALID, "a %s without a proper id in the answer", kind->noun);
    if (search->n_seen++ < OFFERED_MAX)
        add_name(search->offered, &search->offered_len, "%.80s", name);
    if (!is_meant(search, row))
        return 0;
    if (search->n_found++ < OFFERED_MAX)
        add_name(search->candidates, &search->candidates_len, "%.80s (%s)", name, id);
    if (!search->found)
        search->found = json_incref((json_t *)(uintptr_t)row);
    return 0;
}

static int
not_one(const struct cloudstack *cloud, const struct search *search, struct err *err)
{
    const char *noun = search->kind->noun;
    if (search->n_found > 1)
        return err_set(
            err, ERR_CONFLICT,
            "%s '%.200s': %zu have this name: %s: give the UUID of the one that is meant", noun,
            search->text, search->n_found, search->candidates);
    if (search->by_id)
        return err_set(err, ERR_NOT_FOUND, "%s %s: %s has none with this UUID there", noun,
                       search->text, cloud->server);
    return err_set(err, ERR_NOT_FOUND, "%s '%.200s': there is none of that name; there %s%s%s",
                   noun, search->text, search->n_seen ? "are: " : "is none at all", search->offered,
                   search->n_seen > OFFERED_MAX ? ", ..." : "");
}

void
cloudstack_take(const json_t *row, const char *key, char *to, size_t max)
{
    snprintf(to, max, "%s", json_get_str(row, key, ""));
}

bool
cloudstack_is(const json_t *row, const char *key, const char *word)
{
    return strcasecmp(json_get_str(row, key, ""), word) == 0;
}
