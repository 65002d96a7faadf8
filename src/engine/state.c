#include "engine/state.h"

#include <string.h>

#include "base/fd.h"

#define STATE_MAX_BYTES ((size_t)1 << 20)
#define STATE_VERSION 1

static int write_all(const struct state *state, struct err *err);

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
    if (!value || json_object_set_new(state->json, key, value) < 0)
        return err_set(err, ERR_BUG, "'%s' of the state could not be built", key);
    return write_all(state, err);
}

int
state_drop(struct state *state, const char *key, struct err *err)
{
    return json_object_del(state->json, key) < 0 ? 0 : write_all(state, err);
}

static int
write_all(const struct state *state, struct err *err)
{
    auto_free char *text = json_dumps(state->json, JSON_INDENT(2));
    if (!text)
        return err_set(err, ERR_BUG, "the state could not be written as JSON");
    return file_write_atomic(state->path, text, strlen(text), 0600, err);
}

int
state_clear(struct state *state, struct err *err)
{
    json_t *empty = json_pack("{s:i}", "version", STATE_VERSION);
    if (!empty)
        return err_set(err, ERR_BUG, "an empty state could not be built");
    json_decref(state->json);
    state->json = empty;
    return 0;
}

void
state_free(struct state *state)
{
    json_decref(state->json);
    free(state->path);
    *state = (struct state){ .json = NULL };
}
