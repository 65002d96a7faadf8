/* Waiting for an object to become something. A filter on its properties makes WaitForUpdatesEx
 * return when one changes; what it returns says only that, and the object is read again. */
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/property.h"

#define POLL_MS 1000
#define UPDATE_WAIT_S 30 /* longest silence asked for */
#define FAILURES_MAX 2   /* of updates, before it is polled */

struct watch {
    struct vmware_session *session;
    const struct watch_spec *spec;
    char filter[VMWARE_MOREF_MAX]; /* "" none */
    char version[64];
    unsigned login; /* in which it was made */
    unsigned failures;
};

static int
make_filter(struct watch *watch, struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply reply = { 0 };
    struct vmware_session *session = watch->session;
    const struct watch_spec *spec = watch->spec;
    struct soap_call call = { .what = spec->what };
    call_begin(session, &message, "CreateFilter", "PropertyCollector", session->at.collector);
    soap_open(&message, "spec", NULL);
    soap_open(&message, "propSet", NULL);
    soap_text(&message, "type", spec->type);
    for (const char *const *path = spec->paths; *path; path++)
        soap_text(&message, "pathSet", *path);
    soap_close(&message);
    soap_open(&message, "objectSet", NULL);
    soap_ref(&message, "obj", spec->type, spec->moref);
    soap_close(&message);
    soap_close(&message);
    soap_bool(&message, "partialUpdates", false);
    if (call_send(session, &message, &call, &reply, err) < 0 ||
        reply_moref(session, &reply, spec->what, watch->filter, err) < 0)
        return -1;
    watch->version[0] = '\0';
    watch->login = session->n_logins;
    return 0;
}

static void
drop_filter(struct watch *watch)
{
    struct err ignored = ERR_INIT;
    struct soap_call call = { .bare = true };
    if (*watch->filter && watch->login == watch->session->n_logins)
        call_plain(watch->session, "DestroyPropertyFilter", "PropertyFilter", watch->filter, &call,
                   NULL, &ignored);
    watch->filter[0] = '\0';
}

/* Wait for one update, or for the time of silence. */
static int
wait_update(struct watch *watch, int wait_s, struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply reply = { 0 };
    struct vmware_session *session = watch->session;
    struct soap_call call = { .what = watch->spec->what, .timeout_s = wait_s + CALL_TIMEOUT_S };
    call_begin(session, &message, "WaitForUpdatesEx", "PropertyCollector", session->at.collector);
    soap_text(&message, "version", watch->version);
    soap_open(&message, "options", NULL);
    soap_int(&message, "maxWaitSeconds", wait_s);
    soap_close(&message);
    if (call_send(session, &message, &call, &reply, err) < 0)
        return -1;
    const char *version = xml_text_at(reply.response, "returnval/version");
    if (version)
        TEXT_TAKE(watch->version, version);
    return 0;
}

/* Until something may have changed. */
static int
wait_change(struct watch *watch, int64_t left_ns, struct err *err)
{
    int wait_s = (int)MIN(left_ns / NS_PER_S + 1, (int64_t)UPDATE_WAIT_S);
    struct err why = ERR_INIT;
    if (watch->failures < FAILURES_MAX) {
        bool same = *watch->filter && watch->login == watch->session->n_logins;
        if ((same || make_filter(watch, &why) == 0) && wait_update(watch, wait_s, &why) == 0)
            return 0;
        if (why.kind == ERR_CANCELLED || why.kind == ERR_DENIED) {
            *err = why;
            return -1;
        }
        watch->failures++;
        drop_filter(watch);
    }
    return session_sleep_ms(watch->session, POLL_MS, err);
}

static int
watch_loop(struct watch *watch, struct err *err)
{
    const struct watch_spec *spec = watch->spec;
    for (;;) {
        auto_soap_reply struct soap_reply reply = { 0 };
        struct object object;
        if (property_read(watch->session, spec->type, spec->moref, spec->paths, spec->what, &reply,
                          &object, err) < 0)
            return -1;
        int seen = spec->look(&object, spec->arg, err);
        if (seen != 0)
            return seen < 0 ? -1 : 0;
        int64_t left_ns = spec->deadline_ns < 0 ? INT64_MAX : spec->deadline_ns - clock_now_ns();
        if (left_ns <= 0)
            return err_set(err, ERR_UNAVAILABLE, "%s: %s: not ended in the time given for it",
                           watch->session->endpoint, spec->what);
        if (wait_change(watch, left_ns, err) < 0)
            return -1;
    }
}

int
property_watch(struct vmware_session *session, const struct watch_spec *spec, struct err *err)
{
    struct watch watch = { .session = session, .spec = spec };
    int r = watch_loop(&watch, err);
    struct fault fault = session->fault; /* of what failed, not of tidying up */
    drop_filter(&watch);
    session->fault = fault;
    return r;
}
