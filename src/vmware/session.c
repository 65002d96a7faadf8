#include "vmware/session.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/call.h"
#include "wire/url.h"

#define KEEPALIVE_NS (300 * NS_PER_S)
#define VERSIONS_MAX_BYTES 1048576
#define LOGOUT_TIMEOUT_S 10
#define REFUSED_NS (300 * NS_PER_S)
#define OPERATION_MAX 40

/* The versions of the API whose methods and properties are used here, newest first. */
static const char *const spoken[] = {
    "8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.0", "7.0.2.0", "7.0.1.1", "7.0.1.0",
    "7.0",     "6.7.3",   "6.7.2",   "6.7.1",   "6.7",     "6.5",     "6.0",     "5.5",
};
#define VERSION_WITHOUT_A_LIST "6.0"

static int session_new(const struct vmware_options *options, struct vmware_session **ret,
                       struct err *err);
static void session_free(struct vmware_session *session);
static int choose_version(struct vmware_session *session, struct err *err);
static int read_content(struct vmware_session *session, struct err *err);
static int expect_kind(const struct vmware_session *session, enum vmware_kind expected,
                       struct err *err);
static int log_in(struct vmware_session *session, struct err *err);

static void
session_cleanup(struct vmware_session **session)
{
    session_free(*session);
}

int
vmware_login(const struct vmware_options *options, struct vmware_session **ret, struct err *err)
{
    AUTO(session_cleanup) struct vmware_session *session = NULL;
    if (session_new(options, &session, err) < 0)
        return -1;
    if (choose_version(session, err) < 0 || read_content(session, err) < 0)
        return err_prefix(err, "log in");
    if (expect_kind(session, options->expected, err) < 0 || log_in(session, err) < 0)
        return -1;
    *ret = TAKE_PTR(session);
    return 0;
}

/* ---- making one ---- */

static int
copy_text(char **to, const char *text, struct err *err)
{
    *to = text ? strdup(text) : NULL;
    return text && !*to ? err_errno(err, ENOMEM, "a session") : 0;
}

static void
take_operation(struct vmware_session *session, const char *operation)
{
    size_t n = 0;
    for (const char *c = operation ? operation : "vmferry"; *c && n < OPERATION_MAX; c++)
        if (isalnum((unsigned char)*c) || *c == '-')
            session->operation[n++] = *c;
    session->operation[n] = '\0';
}

static int
session_new(const struct vmware_options *options, struct vmware_session **ret, struct err *err)
{
    if (!options->host || !*options->host || !options->user || !options->password)
        return err_set(err, ERR_INVALID, "a vSphere server needs a host, a user and a password");
    AUTO(session_cleanup) struct vmware_session *session = calloc(1, sizeof *session);
    if (!session)
        return err_errno(err, ENOMEM, "a session");
    session->port = options->port ? options->port : VMWARE_DEFAULT_PORT;
    session->cancelled = options->cancelled;
    session->cancelled_arg = options->cancelled_arg;
    take_operation(session, options->operation);
    char endpoint[URL_ENDPOINT_MAX];
    if (strlen(options->host) >= URL_HOST_MAX || session->port > 65535)
        return err_set(err, ERR_INVALID, "%.64s...: no name of a server", options->host);
    TEXT_TAKE(session->endpoint, url_endpoint(options->host, session->port, endpoint));
    if (asprintf(&session->url, "https://%s/sdk", endpoint) < 0) {
        session->url = NULL;
        return err_errno(err, ENOMEM, "a session");
    }
    if (copy_text(&session->host, options->host, err) < 0 ||
        copy_text(&session->user, options->user, err) < 0 ||
        copy_text(&session->password, options->password, err) < 0 ||
        copy_text(&session->ca_file, options->ca_file, err) < 0 ||
        copy_text(&session->thumbprint, options->thumbprint, err) < 0)
        return -1;
    struct http_tls tls = { .ca_file = session->ca_file,
                            .thumbprint = session->thumbprint,
                            .legacy_ciphers = options->legacy_ciphers };
    if (!(session->texts = texts_new(err)) || http_new(&tls, &session->http, err) < 0)
        return -1;
    session->used_ns = clock_now_ns();
    *ret = TAKE_PTR(session);
    return 0;
}

static void
session_free(struct vmware_session *session)
{
    if (!session)
        return;
    http_free(session->http);
    free(session->host);
    free(session->user);
    free(session->ca_file);
    free(session->thumbprint);
    free(session->url);
    free(session->session_key);
    secret_free(session->password);
    secret_free(session->cookie);
    texts_free(session->texts);
    free(session);
}

/* ---- which version to speak ---- */

/* Whether the list has it: <namespace><version/> or one of its <priorVersions>. */
static bool
is_offered(const struct xml_node *namespaces, const char *version)
{
    for (const struct xml_node *ns = xml_child(namespaces, "namespace"); ns;
         ns = xml_next(ns, "namespace")) {
        const char *name = xml_text_at(ns, "name");
        if (name && strcmp(name, "urn:vim25") != 0)
            continue;
        const char *newest = xml_text_at(ns, "version");
        if (newest && strcmp(newest, version) == 0)
            return true;
        const struct xml_node *prior = xml_find(ns, "priorVersions/version");
        for (; prior; prior = xml_next(prior, "version"))
            if (strcmp(prior->text, version) == 0)
                return true;
    }
    return false;
}

static int
fetch_versions(struct vmware_session *session, struct http_response *response, struct err *err)
{
    char url[URL_MAX];
    static const char *const headers[] = { "User-Agent: vmferry/" VMFERRY_VERSION, NULL };
    snprintf(url, sizeof url, "%s/vimServiceVersions.xml", session->url);
    struct http_request request = { .url = url,
                                    .headers = headers,
                                    .max_response_bytes = VERSIONS_MAX_BYTES,
                                    .compressed = true,
                                    .cancelled = session->cancelled,
                                    .cancelled_arg = session->cancelled_arg };
    return http_perform(session->http, &request, response, err);
}

static int
choose_version(struct vmware_session *session, struct err *err)
{
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    auto_xml_doc struct xml_doc *doc = NULL;
    char name[400];
    snprintf(name, sizeof name, "%s: vimServiceVersions.xml", session->endpoint);
    for (int tries = 1;; tries++) {
        if (fetch_versions(session, &response, err) < 0) {
            if (err->kind != ERR_UNAVAILABLE || tries > 1)
                return -1;
        } else if (response.status != 503 || tries == CALL_TRIES) {
            break;
        }
        if (session_sleep_ms(session, 500 << tries, err) < 0)
            return -1;
    }
    if (response.status == 404) { /* some builds of ESXi do not publish it */
        session->version = VERSION_WITHOUT_A_LIST;
        return 0;
    }
    if (response.status != 200)
        return err_set(err, response.status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID,
                       "%s: HTTP status %d: %s", name, response.status,
                       response.status == 503 ? "the server is starting, or has too many sessions "
                                                "open; try again later"
                                              : "is that a vCenter or an ESXi host?");
    if (xml_parse(response.body.data, response.body.len, name, &doc, err) < 0)
        return err_prefix(err, "is that a vCenter or an ESXi host?");
    for (size_t i = 0; i < ARRAY_LEN(spoken); i++)
        if (is_offered(xml_root(doc), spoken[i])) {
            session->version = spoken[i];
            return 0;
        }
    return err_set(
        err, ERR_UNAVAILABLE,
        "%s: no version of the API that is spoken here (%s to %s); vSphere before 5.5 is "
        "too old",
        name, spoken[ARRAY_LEN(spoken) - 1], spoken[0]);
}

/* ---- what there is ---- */

static int
take_about(struct vmware_session *session, const struct xml_node *about, struct err *err)
{
    const struct {
        const char *name, **to;
    } wanted[] = {
        { "fullName", &session->about.full_name },
        { "version", &session->about.version },
        { "build", &session->about.build },
        { "apiVersion", &session->about.api_version },
        { "instanceUuid", &session->about.instance_uuid },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const char *text = xml_text_at(about, wanted[i].name);
        if (texts_add(session->texts, text ? text : "", wanted[i].to, err) < 0)
            return -1;
    }
    const char *type = xml_text_at(about, "apiType");
    session->about.vcenter = type && strcmp(type, "VirtualCenter") == 0;
    session->about.spoken = session->version;
    return 0;
}

static int
read_content(struct vmware_session *session, struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 };
    struct soap_call call = { .what = "ask what the server is" };
    if (call_plain(session, "RetrieveServiceContent", "ServiceInstance", "ServiceInstance", &call,
                   &reply, err) < 0)
        return -1;
    const struct xml_node *content = xml_child(reply.response, "returnval");
    const struct {
        const char *name;
        char *to;
        bool needed;
    } wanted[] = {
        { "rootFolder", session->at.root, true },
        { "propertyCollector", session->at.collector, true },
        { "sessionManager", session->at.sessions, true },
        { "viewManager", session->at.views, true },
        { "searchIndex", session->at.search, false },
        { "authorizationManager", session->at.rights, false },
        { "licenseManager", session->at.licences, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const char *text = xml_text_at(content, wanted[i].name);
        if (!moref_take(wanted[i].to, text) || (wanted[i].needed && !*wanted[i].to))
            return err_set(
                err, ERR_INVALID,
                "%s: it does not say where its %s is; is that a vCenter or an ESXi host?",
                session->endpoint, wanted[i].name);
    }
    return take_about(session, xml_child(content, "about"), err);
}

static int
expect_kind(const struct vmware_session *session, enum vmware_kind expected, struct err *err)
{
    if (expected == VMWARE_VCENTER && !session->about.vcenter)
        return err_set(
            err, ERR_INVALID,
            "%s is no vCenter but a host (%s); use esx:// for it, with a user of the host",
            session->endpoint, session->about.full_name);
    if (expected == VMWARE_ESXI && session->about.vcenter)
        return err_set(err, ERR_INVALID, "%s is no ESXi host but a vCenter (%s); use vpx:// for it",
                       session->endpoint, session->about.full_name);
    return 0;
}

/* ---- in and out ---- */

static int
log_in(struct vmware_session *session, struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply reply = { 0 };
    char what[300];
    snprintf(what, sizeof what, "log in as %.200s", session->user);
    /* A password that was changed meanwhile: a few more tries with it, and the account is locked
     * for everybody. Each call that finds the session ended comes here. */
    if (session->refused.kind != ERR_NONE && clock_now_ns() - session->refused_ns < REFUSED_NS) {
        *err = session->refused;
        TEXT_TAKE(session->fault.type, "InvalidLogin");
        return -1;
    }
    /* A session that is over, or is somebody's, would have the login refused. */
    secret_free(TAKE_PTR(session->cookie));
    call_begin(session, &message, "Login", "SessionManager", session->at.sessions);
    soap_text(&message, "userName", session->user);
    soap_text(&message, "password", session->password);
    if (message.xml.err.kind == ERR_INVALID)
        return err_set(err, ERR_INVALID,
                       "%s: the user name or the password has a character that "
                       "cannot be sent (a control character, or not UTF-8)",
                       session->endpoint);
    struct soap_call call = { .what = what, .bare = true };
    if (call_send(session, &message, &call, &reply, err) < 0) {
        if (call_is_fault(session, "InvalidLogin")) {
            session->refused = *err;
            session->refused_ns = clock_now_ns();
        }
        return -1;
    }
    session->refused.kind = ERR_NONE;
    const char *key = xml_text_at(xml_child(reply.response, "returnval"), "key");
    free(TAKE_PTR(session->session_key));
    if (copy_text(&session->session_key, key ? key : "", err) < 0)
        return -1;
    if (!session->cookie)
        return err_set(err, ERR_INVALID, "%s: %s: the server gave no session cookie",
                       session->endpoint, what);
    session->n_logins++;
    return 0;
}

int
session_login_again(struct vmware_session *session, struct err *err)
{
    if (!*session->at.sessions) /* it has not said yet what it is, which needs no session */
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: it asks for a login before it has said where: try again",
                       session->endpoint);
    return log_in(session, err);
}

void
vmware_logout(struct vmware_session *session)
{
    if (!session)
        return;
    session->cancelled = NULL; /* whatever was cancelled, nothing is to be left */
    if (session->cookie) {
        struct err ignored = ERR_INIT;
        struct soap_call call = { .timeout_s = LOGOUT_TIMEOUT_S, .bare = true };
        call_plain(session, "Logout", "SessionManager", session->at.sessions, &call, NULL,
                   &ignored);
    }
    session_free(session);
}

void
vmware_set_cancelled(struct vmware_session *session, bool (*cancelled)(void *arg), void *arg)
{
    session->cancelled = cancelled;
    session->cancelled_arg = arg;
}

int
vmware_keepalive(struct vmware_session *session, struct err *err)
{
    if (clock_now_ns() - session->used_ns < KEEPALIVE_NS)
        return 0;
    struct soap_call call = { .what = "keep the session alive" };
    return call_plain(session, "CurrentTime", "ServiceInstance", "ServiceInstance", &call, NULL,
                      err);
}

/* ---- what others want to know ---- */

const struct vmware_about *
vmware_about(const struct vmware_session *session)
{
    return &session->about;
}

bool
vmware_is_vcenter(const struct vmware_session *session)
{
    return session->about.vcenter;
}

const char *
vmware_endpoint(const struct vmware_session *session)
{
    return session->endpoint;
}

const char *
vmware_last_fault(const struct vmware_session *session)
{
    return session->fault.type;
}

int
vmware_cookie(struct vmware_session *session, char **ret, struct err *err)
{
    if (!session->cookie && log_in(session, err) < 0)
        return -1;
    return copy_text(ret, session->cookie, err);
}

int
vmware_cookie_renew(struct vmware_session *session, const char *refused, char **ret,
                    struct err *err)
{
    if (session->cookie && refused && strcmp(session->cookie, refused) == 0 &&
        log_in(session, err) < 0)
        return -1;
    return vmware_cookie(session, ret, err);
}
