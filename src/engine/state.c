#include "engine/state.h"

#include <string.h>

#include "base/checked.h"
#include "base/fd.h"

#define STATE_MAX_BYTES ((size_t)1 << 20)
#define STATE_VERSION 1

int
state_load(const struct workdir *work, struct state *ret_state, struct err *err)
{
    auto_free char *path = NULL, *text = NULL;
    size_t len;
    struct err why = ERR_INIT;
    if (workdir_path(work, "state.json", &path, err) < 0)
        return -1;
    auto_json json_t *json = NULL;
    if (file_read(path, STATE_MAX_BYTES, &text, &len, &why) == 0)
        json = json_parse_object(text, len, &why);
    else if (why.kind == ERR_NOT_FOUND)
        json = json_pack("{s:i}", "version", STATE_VERSION);
    if (!json || json_get_int(json, "version", 0) != STATE_VERSION)
        return err_set(err, ERR_CONFLICT,
                       "%s: cannot be used (%s): drop what the earlier run left with --discard",
                       path, json ? "it is of another version of vmferry" : why.text);
    *ret_state = (struct state){ .json = TAKE_PTR(json), .path = TAKE_PTR(path) };
    return 0;
}

int
state_take(const json_t *kept, const struct engine_watch *watch, struct state *ret_state,
           struct err *err)
{
    json_t *json = kept ? json_deep_copy(kept) : json_pack("{s:i}", "version", STATE_VERSION);
    if (!json)
        return err_set(err, ERR_BUG, "the state could not be taken over");
    *ret_state = (struct state){ .json = json, .watch = watch };
    if (json_get_int(json, "version", STATE_VERSION) != STATE_VERSION)
        return err_set(err, ERR_CONFLICT,
                       "what is remembered of this migration is of another version of vmferry: "
                       "finish it with that one, or cancel it");
    return 0;
}

bool
state_is(const struct state *state, const char *mark)
{
    return json_get_bool(state->json, mark, false);
}

int
state_mark(struct state *state, const char *mark, struct err *err)
{
    return state_is(state, mark) ? 0 : state_put(state, mark, json_true(), err);
}

int
state_put(struct state *state, const char *key, json_t *value, struct err *err)
{
    if (!value)
        return err_set(err, ERR_BUG, "'%s' of the state could not be built", key);
    return state_apply(state, ENGINE_NOTE, NULL, json_pack("[o]", op_put(key, value)), err);
}

int
state_drop(struct state *state, const char *key, struct err *err)
{
    if (!json_object_get(state->json, key))
        return 0;
    return state_apply(state, ENGINE_NOTE, NULL, json_pack("[o]", op_put(key, NULL)), err);
}

json_t *
op_put(const char *key, json_t *value)
{
    return json_pack("{s:s, s:s, s:o}", "op", "put", "key", key, "value",
                     value ? value : json_null());
}

json_t *
op_clear_wishes(void)
{
    return json_pack("{s:s}", "op", "clear-wishes");
}

json_t *
op_object(const char *kind, const char *name, const char *state, json_t *detail)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "op", "object", "kind", kind, "name", name,
                     "state", state, "detail", detail ? detail : json_object());
}

/* Those that change what we know ourselves. */
static int
apply_puts(json_t *json, const json_t *ops, struct err *err)
{
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *op = json_array_get(ops, i);
        if (strcmp(json_get_str(op, "op", ""), "put") != 0)
            continue;
        const char *key = json_get_str(op, "key", "");
        json_t *value = json_object_get(op, "value");
        int r = json_is_null(value) ? (json_object_del(json, key), 0)
                                    : json_object_set(json, key, value);
        if (r < 0)
            return err_set(err, ERR_BUG, "'%s' of the state could not be built", key);
    }
    return 0;
}

static int write_all(const struct state *state, struct err *err);

int
state_apply(struct state *state, enum engine_when when, const char *act, json_t *ops,
            struct err *err)
{
    auto_json json_t *owned = ops;
    if (!ops)
        return err_set(err, ERR_BUG, "a change of the state could not be built");
    if (state->watch) {
        const struct engine_watch *watch = state->watch;
        if (watch->journal(when, act, json_incref(ops), watch->arg, err) < 0)
            return -1;
        return apply_puts(state->json, ops, err);
    }
    return apply_puts(state->json, ops, err) < 0 ? -1 : write_all(state, err);
}

static int
write_all(const struct state *state, struct err *err)
{
    auto_free char *text = json_dumps(state->json, JSON_INDENT(2));
    if (!text)
        return err_set(err, ERR_BUG, "the state could not be written as JSON");
    return file_write_atomic(state->path, text, strlen(text), 0600, err);
}

/* What was done outside, which forgetting does not undo. */
static bool
is_of_outside(const char *key)
{
    static const char *const keys[] = { "version",        "hold",    STATE_SOURCE,    "tracking",
                                        "tracking_begun", "cutover", "finalize_tried" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

int
state_clear(struct state *state, struct err *err)
{
    auto_json json_t *ops = json_array();
    const char *key;
    json_t *value;
    json_object_foreach (state->json, key, value)
        if (!is_of_outside(key) && json_array_append_new(ops, op_put(key, NULL)) < 0)
            return err_set(err, ERR_BUG, "an empty state could not be built");
    if (json_array_size(ops) == 0)
        return 0;
    return state_apply(state, ENGINE_NOTE, NULL, TAKE_PTR(ops), err);
}

void
state_free(struct state *state)
{
    json_decref(state->json);
    free(state->path);
    *state = (struct state){ .json = NULL };
}
