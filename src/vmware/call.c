/* Theory of operation: call_send makes tries until one gives an answer, a fault that stays, or the
 * patience is used up. A try streams the answer through an XML reader, so that long ones are never
 * held whole. What a try ended with decides: an ended session is logged in again (once a call); a
 * passing trouble is waited for, unless the call must not happen twice and might have happened.
 */
#include "vmware/call.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/log.h"

#define FIRST_PAUSE_MS 500
#define SLEEP_SLICE_MS 100

static const char user_agent[] = "User-Agent: vmferry/" VMFERRY_VERSION;

enum outcome {
    OUTCOME_ANSWER,
    OUTCOME_FAULT,  /* session->fault */
    OUTCOME_STATUS, /* an HTTP status that says all */
    OUTCOME_ERR,    /* err is set, and it is final */
    OUTCOME_LOST,   /* err is set: no connection, or it broke */
};

struct attempt {
    struct vmware_session *session;
    const struct soap_call *call;
    struct xml_stream *stream;
    int status;
    bool cut_out; /* something was given away: it cannot be begun anew */
    bool xml_broken;
    struct err cut_err;
};

static enum outcome try_once(struct vmware_session *session, const struct soap_message *message,
                             const struct soap_call *call, struct attempt *attempt,
                             struct soap_reply *ret, struct err *err);
static int keep_cookie(struct vmware_session *session, struct err *err);

void
call_begin(struct vmware_session *session, struct soap_message *message, const char *method,
           const char *this_type, const char *this_value)
{
    char operation[80];
    snprintf(operation, sizeof operation, "%s-%04u", session->operation, ++session->n_calls);
    soap_begin(message, method, operation, this_type, this_value);
}

/* ---- tries ---- */

static bool
may_pass(const struct vmware_session *session, enum outcome outcome, const struct attempt *attempt)
{
    if (attempt->call->bare || attempt->cut_out)
        return false;
    switch (outcome) {
    case OUTCOME_FAULT:
        return !attempt->call->once && fault_is_transient(&session->fault);
    case OUTCOME_STATUS:
        return !attempt->call->once &&
               (attempt->status == 502 || attempt->status == 503 || attempt->status == 504);
    case OUTCOME_LOST:
        return !attempt->call->once;
    default:
        return false;
    }
}

static int
give_up(const struct vmware_session *session, enum outcome outcome, const struct attempt *attempt,
        const char *what, struct err *err)
{
    char subject[512];
    snprintf(subject, sizeof subject, "%s: %s", session->endpoint, what);
    if (outcome == OUTCOME_FAULT)
        return fault_err(&session->fault, session->user, subject, err);
    if (outcome == OUTCOME_STATUS && (attempt->status == 401 || attempt->status == 403))
        return err_set(err, ERR_DENIED,
                       "%s: HTTP status %d: a proxy or firewall before the server "
                       "refuses",
                       subject, attempt->status);
    if (outcome == OUTCOME_STATUS && attempt->status == 404)
        return err_set(err, ERR_NOT_FOUND,
                       "%s: HTTP status 404: no vSphere API there; see host "
                       "and port",
                       subject);
    if (outcome == OUTCOME_STATUS && attempt->status == 503)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: HTTP status 503: the server is starting, "
                       "overloaded, or has too many sessions open; try again later",
                       subject);
    if (outcome == OUTCOME_STATUS)
        return err_set(err, attempt->status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID,
                       "%s: HTTP status %d and no answer of the API", subject, attempt->status);
    return err_prefix(err, "%s", what);
}

int
call_send(struct vmware_session *session, struct soap_message *message,
          const struct soap_call *call, struct soap_reply *ret, struct err *err)
{
    const char *what = call->what ? call->what : message->method;
    bool logged_in_again = false;
    int pause_ms = FIRST_PAUSE_MS;
    if (soap_end(message, err) < 0)
        return err_prefix(err, "%s: %s", session->endpoint, what);
    for (int tries = 1;; tries++) {
        struct attempt attempt = { .session = session, .call = call };
        enum outcome outcome = try_once(session, message, call, &attempt, ret, err);
        if (outcome == OUTCOME_ANSWER)
            return 0;
        if (outcome == OUTCOME_FAULT && !logged_in_again && !call->bare && !attempt.cut_out &&
            call_is_fault(session, "NotAuthenticated")) {
            logged_in_again = true;
            if (session_login_again(session, err) < 0)
                return err_prefix(err, "%s: the session had ended", what);
            continue;
        }
        if (tries >= CALL_TRIES || !may_pass(session, outcome, &attempt))
            return give_up(session, outcome, &attempt, what, err);
        log_debug("%s: %s: try %d failed, again in %d ms", session->endpoint, what, tries,
                  pause_ms);
        if (session_sleep_ms(session, pause_ms, err) < 0)
            return err_prefix(err, "%s", what);
        pause_ms *= 2;
    }
}

/* ---- one try ---- */

static int
on_cut(const struct xml_node *node, void *arg, struct err *err)
{
    struct attempt *attempt = arg;
    attempt->cut_out = true;
    if (attempt->call->on_cut(node, attempt->call->arg, err) == 0)
        return 0;
    attempt->cut_err = *err;
    return -1;
}

static int
on_data(const void *data, size_t len, void *arg, struct err *err)
{
    struct attempt *attempt = arg;
    if ((attempt->status != 200 && attempt->status != 500) || attempt->xml_broken)
        return 0;
    if (xml_stream_feed(attempt->stream, data, len, err) == 0)
        return 0;
    attempt->xml_broken = true;
    return attempt->status == 500 ? 0 : -1;
}

static int
new_stream(struct attempt *attempt, struct err *err)
{
    const struct soap_call *call = attempt->call;
    char name[400];
    snprintf(name, sizeof name, "%s: the answer", attempt->session->endpoint);
    struct xml_stream_spec spec = {
        .name = name,
        .max_bytes = call->cut ? CALL_MAX_BYTES : CALL_MAX_WHOLE_BYTES,
        .max_nodes = CALL_MAX_NODES,
        .max_held_bytes = CALL_MAX_HELD_BYTES,
        .cut = call->cut,
        .on_cut = on_cut,
        .arg = attempt,
    };
    return xml_stream_new(&spec, &attempt->stream, err);
}

static int
exchange(struct vmware_session *session, const struct soap_message *message,
         const struct soap_call *call, struct attempt *attempt, struct err *err)
{
    char action[64];
    auto_secret char *cookie = NULL;
    snprintf(action, sizeof action, "SOAPAction: \"urn:vim25/%s\"", session->version);
    if (session->cookie && asprintf(&cookie, "Cookie: %s", session->cookie) < 0) {
        cookie = NULL;
        return err_errno(err, ENOMEM, "%s", session->endpoint);
    }
    const char *headers[] = { "Content-Type: text/xml; charset=\"utf-8\"", user_agent, action,
                              cookie, NULL };
    int timeout_s = call->timeout_s ? call->timeout_s : CALL_TIMEOUT_S;
    struct http_request request = {
        .method = "POST",
        .url = session->url,
        .headers = headers,
        .body = message->text.data,
        .body_len = message->text.len,
        .stall_ms = timeout_s * 1000,
        .compressed = true,
        .once = call->once,
        .cancelled = session->cancelled,
        .cancelled_arg = session->cancelled_arg,
    };
    return http_stream(session->http, &request, on_data, attempt, &attempt->status, err);
}

/* Find the answer or the fault in what was read. */
static enum outcome
read_envelope(struct vmware_session *session, struct soap_reply *reply, struct err *err)
{
    const struct xml_node *root = xml_root(reply->doc);
    const struct xml_node *body =
        strcmp(root->name, "Envelope") == 0 ? xml_child(root, "Body") : NULL;
    const struct xml_node *content = xml_child(body, NULL);
    if (!content) {
        err_set(err, ERR_INVALID, "%s: the answer is XML, but no SOAP: <%.64s>; is that vSphere?",
                session->endpoint, root->name);
        return OUTCOME_ERR;
    }
    if (strcmp(content->name, "Fault") == 0) {
        fault_read_soap(content, &session->fault);
        return OUTCOME_FAULT;
    }
    reply->response = content;
    return OUTCOME_ANSWER;
}

static enum outcome
try_once(struct vmware_session *session, const struct soap_message *message,
         const struct soap_call *call, struct attempt *attempt, struct soap_reply *ret,
         struct err *err)
{
    session->fault = (struct fault){ 0 };
    soap_reply_free(ret);
    if (new_stream(attempt, err) < 0)
        return OUTCOME_ERR;
    AUTO(xml_stream_cleanup) struct xml_stream *stream = attempt->stream;
    if (exchange(session, message, call, attempt, err) < 0) {
        if (attempt->cut_err.kind != ERR_NONE)
            *err = attempt->cut_err;
        return err->kind == ERR_UNAVAILABLE && attempt->cut_err.kind == ERR_NONE ? OUTCOME_LOST
                                                                                 : OUTCOME_ERR;
    }
    session->used_ns = clock_now_ns();
    if (keep_cookie(session, err) < 0)
        return OUTCOME_ERR;
    if ((attempt->status != 200 && attempt->status != 500) || attempt->xml_broken)
        return OUTCOME_STATUS;
    if (xml_stream_end(stream, &ret->doc, err) < 0)
        return attempt->status == 500 ? OUTCOME_STATUS : OUTCOME_ERR;
    return read_envelope(session, ret, err);
}

/* "vmware_soap_session=..." without its attributes, as it came. */
static int
keep_cookie(struct vmware_session *session, struct err *err)
{
    static const char name[] = "vmware_soap_session=";
    size_t pos = 0;
    const char *value;
    while ((value = http_header_next(http_last_headers(session->http), "Set-Cookie", &pos))) {
        if (strncmp(value, name, strlen(name)) != 0)
            continue;
        size_t len = strcspn(value, ";");
        while (len > 0 && value[len - 1] == ' ')
            len--;
        if (session->cookie && strlen(session->cookie) == len &&
            memcmp(session->cookie, value, len) == 0)
            continue;
        char *cookie = strndup(value, len);
        if (!cookie)
            return err_errno(err, ENOMEM, "%s", session->endpoint);
        secret_free(session->cookie);
        session->cookie = cookie;
    }
    return 0;
}

void
soap_reply_free(struct soap_reply *reply)
{
    xml_doc_free(reply->doc);
    *reply = (struct soap_reply){ 0 };
}

/* ---- shapes of calls ---- */

int
call_plain(struct vmware_session *session, const char *method, const char *this_type,
           const char *this_value, const struct soap_call *call, struct soap_reply *reply,
           struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply own = { 0 };
    call_begin(session, &message, method, this_type, this_value);
    return call_send(session, &message, call, reply ? reply : &own, err);
}

int
call_task(struct vmware_session *session, struct soap_message *message, const char *what,
          char ret_task[VMWARE_MOREF_MAX], struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 };
    struct soap_call call = { .what = what, .once = true };
    if (call_send(session, message, &call, &reply, err) < 0)
        return -1;
    return reply_moref(session, &reply, what, ret_task, err);
}

const char *
reply_text(const struct soap_reply *reply)
{
    const char *text = xml_text_at(reply->response, "returnval");
    return text ? text : "";
}

bool
moref_take(char to[VMWARE_MOREF_MAX], const char *text)
{
    size_t len = text ? strlen(text) : 0;
    if (len >= VMWARE_MOREF_MAX)
        return false;
    if (len > 0)
        memcpy(to, text, len);
    to[len] = '\0';
    return true;
}

int
reply_moref(const struct vmware_session *session, const struct soap_reply *reply, const char *what,
            char ret[VMWARE_MOREF_MAX], struct err *err)
{
    const char *text = reply_text(reply);
    if (!*text || !moref_take(ret, text))
        return err_set(err, ERR_INVALID, "%s: %s: the server names no object in its answer",
                       session->endpoint, what);
    return 0;
}

bool
call_is_fault(const struct vmware_session *session, const char *type)
{
    return strcmp(session->fault.type, type) == 0;
}

/* ---- waiting ---- */

bool
session_is_cancelled(const struct vmware_session *session)
{
    return session->cancelled && session->cancelled(session->cancelled_arg);
}

int
session_sleep_ms(struct vmware_session *session, int ms, struct err *err)
{
    int64_t end = clock_now_ns() + (int64_t)ms * NS_PER_MS;
    for (;;) {
        if (session_is_cancelled(session))
            return err_set(err, ERR_CANCELLED, "%s: cancelled", session->endpoint);
        int64_t now = clock_now_ns();
        if (now >= end)
            return 0;
        clock_sleep_until_ns(MIN(end, now + SLEEP_SLICE_MS * NS_PER_MS));
    }
}
