#include "platform/libvirt-call.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/checked.h"
#include "base/clock.h"
#include "platform/libvirt-uri.h"

/* lock guards what stands below it. */
struct libvirt_call {
    struct libvirt_request request;
    libvirt_talk_fn *talk;
    struct err err; /* of the thread; read when it is done */
    int status;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned holders; /* the caller, and the thread while it runs */
    bool done, abandoned;
};

static int copy_placement(const struct placement *p, struct libvirt_request *r, struct err *err);
static int start_thread(struct libvirt_call *call, struct err *err);
static void *hold_conversation(void *arg);
static void converse(struct libvirt_call *call);

int
libvirt_call_new(const char *uri, const struct placement *placement, struct libvirt_call **ret_call,
                 struct err *err)
{
    uri = libvirt_uri_or_usual(uri);
    if (libvirt_uri_check(uri, err) < 0)
        return -1;
    auto_libvirt_call struct libvirt_call *call = calloc(1, sizeof *call);
    if (!call)
        return err_errno(err, ENOMEM, "libvirt");
    pthread_mutex_init(&call->lock, NULL);
    cond_init_monotonic(&call->changed);
    call->holders = 1;
    call->request.call = call;
    call->request.uri = strdup(uri);
    if (!call->request.uri)
        return err_errno(err, ENOMEM, "libvirt");
    if (placement && copy_placement(placement, &call->request, err) < 0)
        return -1;
    *ret_call = TAKE_PTR(call);
    return 0;
}

static int
copy(const char *text, char **ret, struct err *err)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? err_errno(err, ENOMEM, "libvirt") : 0;
}

static int
copy_placement(const struct placement *p, struct libvirt_request *r, struct err *err)
{
    if (copy(p->host.pool, &r->pool, err) < 0 || copy(p->dir, &r->dir, err) < 0 ||
        copy(p->name, &r->name, err) < 0 || copy(p->uuid, &r->uuid, err) < 0 ||
        copy(p->id, &r->id, err) < 0)
        return -1;
    for (size_t i = 0; i < p->host.n_networks; i++, r->n_networks++)
        if (copy(p->host.networks[i], &r->networks[i], err) < 0)
            return -1;
    return 0;
}

struct libvirt_request *
libvirt_call_request(struct libvirt_call *call)
{
    return &call->request;
}

int
libvirt_call_run(struct libvirt_call *call, int64_t limit_ns, libvirt_talk_fn *talk,
                 struct err *err)
{
    int64_t due_ns = clock_now_ns() + limit_ns;
    struct timespec due = { .tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S };
    call->talk = talk;
    if (start_thread(call, err) < 0)
        return -1;
    pthread_mutex_lock(&call->lock);
    int waited = 0;
    while (!call->done && waited == 0)
        waited = pthread_cond_timedwait(&call->changed, &call->lock, &due);
    bool done = call->done;
    call->abandoned = !done;
    pthread_mutex_unlock(&call->lock);
    if (!done)
        return err_set(err, ERR_UNAVAILABLE,
                       "libvirt (%s) does not answer within %d s: look whether its daemon hangs, "
                       "and start it again",
                       call->request.uri, (int)(limit_ns / NS_PER_S));
    if (call->status < 0)
        *err = call->err;
    return call->status;
}

/* Signals are the business of the threads that were there before. */
static int
start_thread(struct libvirt_call *call, struct err *err)
{
    pthread_t thread;
    sigset_t all, before;
    call->holders = 2;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&thread, NULL, hold_conversation, call);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        call->holders = 1;
        return err_errno(err, r, "libvirt: start a thread");
    }
    pthread_detach(thread);
    return 0;
}

static void *
hold_conversation(void *arg)
{
    struct libvirt_call *call = arg;
    converse(call);
    pthread_mutex_lock(&call->lock);
    call->done = true;
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->lock);
    libvirt_call_free(call);
    return NULL;
}

/* What it reports comes back as its last error; on stderr it would disturb. */
static void
keep_quiet(void *arg, virErrorPtr error)
{
    (void)arg;
    (void)error;
}

static void
prepare_library(void)
{
    virInitialize();
    virSetErrorFunc(NULL, keep_quiet);
}

static void
converse(struct libvirt_call *call)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_library);
    call->status = -1;
    virConnectPtr conn = virConnectOpen(call->request.uri);
    if (!conn) {
        struct err why = ERR_INIT;
        const virError *said = virGetLastError();
        bool denied = said && said->code == VIR_ERR_SYSTEM_ERROR && said->int1 == EACCES;
        libvirt_error(&why, "connect to libvirt (%s)", call->request.uri);
        err_set(&call->err, why.kind, "%s: %s", why.text,
                denied ? "let this user use it (group libvirt), or run as root"
                       : "start its daemon (libvirtd, or virtqemud), or name another libvirt");
        return;
    }
    call->status = call->talk(conn, &call->request, &call->err);
    virConnectClose(conn);
}

int
libvirt_call_wanted(const struct libvirt_request *request, struct err *err)
{
    struct libvirt_call *call = request->call;
    pthread_mutex_lock(&call->lock);
    bool abandoned = call->abandoned;
    pthread_mutex_unlock(&call->lock);
    return abandoned ? err_set(err, ERR_CANCELLED, "nobody waits for libvirt any more") : 0;
}

static void
request_free(struct libvirt_request *r)
{
    char *singles[] = { r->uri, r->pool, r->dir, r->name, r->uuid, r->id, r->xml, r->found_dir };
    for (size_t i = 0; i < ARRAY_LEN(singles); i++)
        free(singles[i]);
    for (size_t i = 0; i < r->n_networks; i++)
        free(r->networks[i]);
    libvirt_survey_free(&r->survey);
}

void
libvirt_call_free(struct libvirt_call *call)
{
    if (!call)
        return;
    pthread_mutex_lock(&call->lock);
    bool last = --call->holders == 0;
    pthread_mutex_unlock(&call->lock);
    if (!last)
        return;
    request_free(&call->request);
    pthread_mutex_destroy(&call->lock);
    pthread_cond_destroy(&call->changed);
    free(call);
}

/* ---- what libvirt says ---- */

static enum err_kind
kind_of(const virError *said)
{
    switch (said->code) {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_NETWORK:
    case VIR_ERR_NO_STORAGE_POOL:
        return ERR_NOT_FOUND;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_ACCESS_DENIED:
        return ERR_DENIED;
    case VIR_ERR_XML_ERROR:
    case VIR_ERR_XML_DETAIL:
    case VIR_ERR_XML_INVALID_SCHEMA:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
    case VIR_ERR_INVALID_ARG:
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_OS_TYPE:
        return ERR_INVALID;
    case VIR_ERR_DOM_EXIST:
    case VIR_ERR_OPERATION_INVALID:
        return ERR_CONFLICT;
    case VIR_ERR_SYSTEM_ERROR:
        return said->int1 == EACCES || said->int1 == EPERM ? ERR_DENIED : ERR_UNAVAILABLE;
    default:
        return ERR_UNAVAILABLE;
    }
}

/* QEMU's own words come in several lines. */
static void
flatten(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    for (size_t len = strlen(text); len && text[len - 1] == ' '; len--)
        text[len - 1] = '\0';
}

int
libvirt_error(struct err *err, const char *fmt, ...)
{
    char tried[ERR_TEXT_MAX / 2], words[ERR_TEXT_MAX / 2] = "libvirt gave no reason";
    const virError *said = virGetLastError();
    va_list args;
    va_start(args, fmt);
    vsnprintf(tried, sizeof tried, fmt, args);
    va_end(args);
    if (said && said->message)
        snprintf(words, sizeof words, "%s", said->message);
    flatten(words);
    return err_set(err, said ? kind_of(said) : ERR_UNAVAILABLE, "%s: %s", tried, words);
}

bool
libvirt_error_is(int code)
{
    const virError *said = virGetLastError();
    return said && said->code == code;
}

const char *
libvirt_names(const char *const *names, size_t n, char text[LIBVIRT_NAMES_MAX])
{
    size_t len = 0;
    snprintf(text, LIBVIRT_NAMES_MAX, "none");
    for (size_t i = 0; i < n && len < LIBVIRT_NAMES_MAX; i++)
        len +=
            (size_t)snprintf(text + len, LIBVIRT_NAMES_MAX - len, "%s%s", i ? ", " : "", names[i]);
    if (len >= LIBVIRT_NAMES_MAX)
        memcpy(text + LIBVIRT_NAMES_MAX - 4, "...", 4);
    return text;
}
