/* POST /migrations/ID/VERB. */
#include <errno.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/daemon.h"
#include "daemon/limits.h"
#include "daemon/view.h"
#include "daemon/wish.h"

static int read_wish(const json_t *body, struct wish *wish, struct err *err);
static int refuse_ended(struct daemon *daemon, const char *id, enum job_verb verb,
                        bool *ret_already, struct err *err);

int
api_verb(struct daemon *daemon, const struct api_request *request, const char *id, const char *verb,
         struct api_reply *ret, struct err *err)
{
    struct wish wish = { .verb = N_JOB_VERB };
    bool already = false;
    if (!job_verb_parse(verb, &wish.verb) || wish.verb == JOB_DELETE)
        return err_set(err, ERR_NOT_FOUND, "no such verb: %s", verb);
    if (read_wish(request->body, &wish, err) < 0)
        return -1;
    struct entry *entry = roster_find(daemon, id);
    int r = entry ? wish_ask(entry, &wish, &already, NULL, err)
                  : refuse_ended(daemon, id, wish.verb, &already, err);
    json_t *view;
    if (r < 0 || view_of_id(daemon, id, &view, err) < 0)
        return -1;
    ret->body = json_pack("{s:o, s:b}", "migration", view, "already", already);
    return ret->body ? 0 : err_errno(err, ENOMEM, "%s", id);
}

static int
read_wish(const json_t *body, struct wish *wish, struct err *err)
{
    static const char *const none[] = { NULL }, *const choice[] = { "choice", NULL },
                             *const limit[] = { "limit_bytes_s", NULL },
                             *const cleanup[] = { "cleanup", NULL };
    const char *const *keys = wish->verb == JOB_SHUTDOWN ? choice
                              : wish->verb == JOB_LIMIT  ? limit
                              : wish->verb == JOB_CANCEL ? cleanup
                                                         : none;
    int64_t bytes_s;
    if (api_body_keys(body, keys, err) < 0)
        return -1;
    wish->cleanup = json_get_bool(body, "cleanup", false);
    if (wish->verb == JOB_SHUTDOWN)
        return json_need_str(body, "choice", &wish->choice, err);
    if (wish->verb != JOB_LIMIT)
        return 0;
    if (api_body_int(body, limit[0], 0, LIMITS_BANDWIDTH_MAX, -1, &bytes_s, err) < 0)
        return -1;
    if (bytes_s < 0)
        return err_set(err, ERR_INVALID, "'limit_bytes_s' is missing");
    wish->limit_bytes_s = (uint64_t)bytes_s;
    return 0;
}

/* Of one that has ended nothing can be changed, but it may be so already. */
static int
refuse_ended(struct daemon *daemon, const char *id, enum job_verb verb, bool *ret_already,
             struct err *err)
{
    auto_migration struct store_migration m = { .fence = 0 };
    const char *text;
    if (store_migration_get(daemon->store, id, &m, err) < 0)
        return -1;
    *ret_already = job_verb_check(m.status, verb, &text) == JOB_ALREADY;
    return *ret_already ? 0 : err_set(err, ERR_CONFLICT, "%s: %s", m.name ? m.name : m.key, text);
}
