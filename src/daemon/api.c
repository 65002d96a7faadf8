#include "daemon/api.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "daemon/daemon.h"

#define PREFIX "/api/v1/"

/* '*' stands for one segment: the first for an id, the second for a verb. Longer routes first. */
static const struct {
    const char *method, *route;
    api_handler *handler;
} routes[] = {
    { "GET", "health", api_health },          { "GET", "limits", api_limits },
    { "PUT", "limits", api_limits_put },      { "GET", "migrations", api_list },
    { "POST", "migrations", api_create },     { "GET", "migrations/*", api_show },
    { "DELETE", "migrations/*", api_delete }, { "GET", "migrations/*/events", api_events },
    { "POST", "migrations/*/*", api_verb },
};

struct segments {
    char id[STORE_ID_MAX + 1];
    char verb[STORE_ID_MAX + 1];
};

static bool route_matches(const char *route, const char *path, struct segments *ret);
static void refuse_method(const struct api_request *request, struct api_reply *ret_reply);
static void reply_error(unsigned status, const char *code, const char *text,
                        struct api_reply *ret_reply);
static unsigned status_of(const struct err *err);

void
api_answer(const struct api_request *request, struct api_reply *ret_reply, void *arg)
{
    size_t len = strlen(PREFIX);
    struct segments segments;
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (strncmp(request->path, PREFIX, len) != 0 ||
            !route_matches(routes[i].route, request->path + len, &segments))
            continue;
        known = true;
        if (strcmp(request->method, routes[i].method) != 0)
            continue;
        struct err err = ERR_INIT;
        *ret_reply = (struct api_reply){ .status = 200 };
        if (routes[i].handler(arg, request, segments.id, segments.verb, ret_reply, &err) < 0)
            reply_error(status_of(&err), err_kind_name(err.kind), err.text, ret_reply);
        return;
    }
    if (known)
        refuse_method(request, ret_reply);
    else
        reply_error(404, err_kind_name(ERR_NOT_FOUND), "no such path", ret_reply);
}

static bool
route_matches(const char *route, const char *path, struct segments *ret)
{
    char *places[] = { ret->id, ret->verb };
    size_t n = 0;
    ret->id[0] = ret->verb[0] = '\0';
    while (*route) {
        if (*route != '*') {
            if (*route++ != *path++)
                return false;
            continue;
        }
        size_t len = strcspn(path, "/");
        if (len == 0 || len > STORE_ID_MAX || n == ARRAY_LEN(places))
            return false;
        memcpy(places[n], path, len);
        places[n++][len] = '\0';
        path += len;
        route++;
    }
    return *path == '\0';
}

static void
refuse_method(const struct api_request *request, struct api_reply *ret_reply)
{
    static char allow[64];
    struct segments segments;
    allow[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!route_matches(routes[i].route, request->path + strlen(PREFIX), &segments))
            continue;
        size_t used = strlen(allow);
        snprintf(allow + used, sizeof allow - used, "%s%s", used ? ", " : "", routes[i].method);
    }
    reply_error(405, "method", "no such method here", ret_reply);
    ret_reply->allow = allow;
}

static void
reply_error(unsigned status, const char *code, const char *text, struct api_reply *ret_reply)
{
    json_decref(ret_reply->body);
    free(ret_reply->text);
    *ret_reply = (struct api_reply){ .status = status };
    ret_reply->body = json_pack("{s:o, s:s}", "detail", json_text(text), "code", code);
}

static unsigned
status_of(const struct err *err)
{
    switch (err->kind) {
    case ERR_INVALID:
        return 400;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_CONFLICT:
        return 409;
    case ERR_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

/* ---- for the handlers ---- */

static int
out_of_range(const char *name, int64_t min, int64_t max, struct err *err)
{
    return err_set(err, ERR_INVALID, "'%s' is not a whole number from %" PRId64 " to %" PRId64,
                   name, min, max);
}

int
api_query_int(const struct api_request *request, const char *name, int64_t min, int64_t max,
              int64_t fallback, int64_t *ret, struct err *err)
{
    const char *text = request->query(name, request->query_arg);
    if (!text) {
        *ret = fallback;
        return 0;
    }
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)text[0]) || *end || number < min || number > max)
        return out_of_range(name, min, max, err);
    *ret = number;
    return 0;
}

int
api_body_int(const json_t *body, const char *key, int64_t min, int64_t max, int64_t fallback,
             int64_t *ret, struct err *err)
{
    const json_t *value = json_object_get(body, key);
    if (!value || json_is_null(value)) {
        *ret = fallback;
        return 0;
    }
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max)
        return out_of_range(key, min, max, err);
    *ret = json_integer_value(value);
    return 0;
}

int
api_body_keys(const json_t *body, const char *const *keys, struct err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)body, key, value) {
        const char *const *known = keys;
        while (*known && strcmp(*known, key) != 0)
            known++;
        if (!*known)
            return err_set(err, ERR_INVALID, "unknown key '%.100s'", key);
    }
    return 0;
}
