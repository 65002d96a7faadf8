/* The kind "export": the streamOptimized VMDK that an export lease (HttpNfcLease) gives.
 *
 * Theory of operation: the stream of source-vmdk.c, whose bytes are taken out of one long HTTP
 * answer by whichever lane's turn it is to read; the others inflate meanwhile. Nothing lies between
 * but what the kernel buffers, and no thread of its own is needed. Every byte is summed as it
 * comes, also those behind the end marker, so that the sums can be held against the lease's
 * manifest.
 *
 * It cannot be gone on with: a stream that breaks begins again, with a new lease.
 */
#include <errno.h>
#include <inttypes.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "disk/source.h"
#include "disk/vmdk-stream.h"
#include "wire/http.h"

#define TAIL_MAX (64 * MIB) /* behind the end marker; writers pad, they do not write more */
#define TAIL_PIECE (64 * KIB)

struct export_source {
    struct source source;
    struct source *vmdk;
    struct http *http;
    struct http_request request;
    char *uri;         /* a secret: it holds a ticket */
    char *cookie_line; /* a secret; NULL: none */
    const char *headers[2];

    /* By the lane whose turn it is, under the lock of the VMDK stream; the tail under `lock`. */
    bool at_end;         /* of the answer */
    atomic_bool ran_dry; /* more was wanted behind it */
    struct sha1_ctx sha1;
    struct sha256_ctx sha256;
    struct source_digest digest;

    pthread_mutex_t lock;
    bool finished;
};

static int export_open(const struct source_spec *spec, struct source **ret, struct err *err);
static void export_close(struct source *src);
static int begin(struct export_source *e, struct err *err);
static int give(void *arg, void *data, size_t len, size_t *ret_got, struct err *err);
static int explain(const struct export_source *e, struct err *err);
static int finish(struct export_source *e, struct err *err);

static const struct source_ops export_ops;

const struct source_kind source_kind_export = {
    .name = "export",
    .open = export_open,
};

static struct export_source *
to_export(struct source *src)
{
    return (struct export_source *)src;
}

/* ---- life ---- */

static void
close_cleanup(struct export_source **e)
{
    if (*e)
        export_close(&(*e)->source);
}

static bool
is_stopped(void *arg)
{
    const struct source *src = arg;
    return src->client && src->client->stopped(src->client_arg);
}

static int
keep_strings(struct export_source *e, const struct source_remote *remote, const char *name,
             struct err *err)
{
    if (!remote->uri)
        return err_set(err, ERR_INVALID, "%s: no URL says where to read it", name);
    e->source.name = strdup(name);
    e->uri = strdup(remote->uri);
    if (remote->cookie && asprintf(&e->cookie_line, "Cookie: %s", remote->cookie) < 0)
        e->cookie_line = NULL;
    if (!e->source.name || !e->uri || (remote->cookie && !e->cookie_line))
        return err_errno(err, ENOMEM, "%s", name);
    e->headers[0] = e->cookie_line;
    e->request = (struct http_request){
        .url = e->uri,
        .headers = e->headers,
        .cancelled = is_stopped,
        .cancelled_arg = e,
    };
    return 0;
}

static int
export_open(const struct source_spec *spec, struct source **ret, struct err *err)
{
    const struct source_remote *remote = &spec->remote;
    const char *name = remote->name ? remote->name : "exported disk";
    AUTO(close_cleanup) struct export_source *e = calloc(1, sizeof *e);
    if (!e)
        return err_errno(err, ENOMEM, "%s", name);
    e->source.ops = &export_ops;
    pthread_mutex_init(&e->lock, NULL);
    sha1_init(&e->sha1);
    sha256_init(&e->sha256);
    struct http_tls tls = { .ca_file = remote->ca, .thumbprint = remote->thumbprint };
    if (keep_strings(e, remote, name, err) < 0)
        return -1;
    if (http_new(&tls, &e->http, err) < 0)
        return err_prefix(err, "%s", name);
    struct byte_input *in;
    struct byte_giver giver = { .give = give, .arg = e };
    if (begin(e, err) < 0 || byte_input_given(&giver, name, &in, err) < 0)
        return -1;
    if (source_vmdk_open(in, "", &e->vmdk, err) < 0)
        return explain(e, err);
    e->source.bytes = e->vmdk->bytes;
    e->source.n_lanes = e->vmdk->n_lanes;
    e->source.depth = e->vmdk->depth;
    e->source.digest = &e->digest;
    *ret = &TAKE_PTR(e)->source;
    return 0;
}

static void
export_close(struct source *src)
{
    struct export_source *e = to_export(src);
    source_close(e->vmdk);
    http_free(e->http);
    secret_free(e->uri);
    secret_free(e->cookie_line);
    pthread_mutex_destroy(&e->lock);
    free(src->name);
    free(e);
}

static int
begin(struct export_source *e, struct err *err)
{
    int status = 0;
    const char *name = e->source.name;
    if (http_begin(e->http, &e->request, &status, err) < 0)
        return err_prefix(err, "%s", name);
    switch (status) {
    case 200:
        return 0;
    case 401:
    case 403:
        return err_set(err, ERR_DENIED,
                       "%s: the host does not let it be exported (status %d): the lease has ended, "
                       "or the user lacks the privilege VApp.Export",
                       name, status);
    case 404:
    case 410:
        return err_set(err, ERR_NOT_FOUND,
                       "%s: the host does not know this export (status %d): the lease has ended; "
                       "start again",
                       name, status);
    case 429:
    case 503:
        return err_set(err, ERR_UNAVAILABLE, "%s: the host is too busy (status %d); try again",
                       name, status);
    default:
        return err_set(err, status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID,
                       "%s: the host answers the request for it with status %d instead of the disk",
                       name, status);
    }
}

/* ---- bytes ---- */

static int
give(void *arg, void *data, size_t len, size_t *ret_got, struct err *err)
{
    struct export_source *e = arg;
    if (http_pull(e->http, data, len, ret_got, err) < 0) {
        if (err->kind != ERR_UNAVAILABLE)
            return err_prefix(err, "%s", e->source.name);
        struct err cause = *err;
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: the export broke after %" PRIu64 " bytes (%s); it cannot be gone on "
                       "with: start again with a new lease",
                       e->source.name, e->digest.bytes, cause.text);
    }
    sha1_update(&e->sha1, *ret_got, data);
    sha256_update(&e->sha256, *ret_got, data);
    e->digest.bytes += *ret_got;
    if (*ret_got == 0)
        atomic_store(&e->ran_dry, true);
    e->at_end = *ret_got < len;
    return 0;
}

/* The decoder misses something: was the answer complete, or did the host end it early? */
static int
explain(const struct export_source *e, struct err *err)
{
    if (!atomic_load(&e->ran_dry) || err->kind != ERR_INVALID)
        return -1;
    struct err cause = *err;
    return err_set(err, ERR_UNAVAILABLE,
                   "%s; the host ended the export after %" PRIu64
                   " bytes: see its log, and start again with a new lease",
                   cause.text, e->digest.bytes);
}

static int
export_next(struct source *src, unsigned lane, struct request *req, struct err *err)
{
    struct export_source *e = to_export(src);
    pthread_mutex_lock(&e->lock);
    if (!e->vmdk->client) {
        e->vmdk->client_arg = src->client_arg;
        e->vmdk->client = src->client;
    }
    pthread_mutex_unlock(&e->lock);
    int got = e->vmdk->ops->next(e->vmdk, lane, req, err);
    if (got > 0)
        return got;
    pthread_mutex_lock(&e->lock);
    int r = got < 0 ? explain(e, err) : finish(e, err);
    pthread_mutex_unlock(&e->lock);
    return r;
}

static void
format_digest(const uint8_t *bytes, size_t n, char *text)
{
    for (size_t i = 0; i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* Behind the end marker: to the end of the answer, which proves that it is whole. Under the lock.
 */
static int
finish(struct export_source *e, struct err *err)
{
    auto_free uint8_t *tail = malloc(TAIL_PIECE);
    uint8_t sum[SHA256_DIGEST_SIZE];
    if (e->finished)
        return 0;
    if (!tail)
        return err_errno(err, ENOMEM, "%s", e->source.name);
    for (uint64_t more = 0; !e->at_end;) {
        size_t got = 0;
        if (give(e, tail, TAIL_PIECE, &got, err) < 0)
            return -1;
        more += got;
        if (more > TAIL_MAX)
            return err_set(err, ERR_INVALID, "%s: more than %d MiB follow the end of the disk",
                           e->source.name, (int)(TAIL_MAX / MIB));
    }
    sha1_digest(&e->sha1, SHA1_DIGEST_SIZE, sum);
    format_digest(sum, SHA1_DIGEST_SIZE, e->digest.sha1);
    sha256_digest(&e->sha256, SHA256_DIGEST_SIZE, sum);
    format_digest(sum, SHA256_DIGEST_SIZE, e->digest.sha256);
    e->finished = true;
    return 0;
}

static int
export_extents(struct source *src, uint64_t offset, uint64_t len, struct extent_list *ret,
               struct err *err)
{
    struct source *vmdk = to_export(src)->vmdk;
    return vmdk->ops->extents(vmdk, offset, len, ret, err);
}

static const struct source_ops export_ops = {
    .name = "export",
    .extents = export_extents,
    .next = export_next,
    .close = export_close,
};
