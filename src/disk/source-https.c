/* The kind "https": a raw file of a datastore, read by ranges over several connections.
 *
 * Theory of operation: vCenter and ESXi slow down each connection for itself and take long to begin
 * an answer, so a lane, which has a connection of its own, asks for many megabytes at once (the
 * run that the plan gave it) and takes them out of that answer request by request. What a lane
 * reads ahead is what the kernel buffers; no memory of ours grows with the size of a run.
 *
 * When a connection breaks or ends early, the run is asked for again from the request that is not
 * whole, over a new one. "Too busy" (503) costs a pause and, for all lanes together, one
 * connection; one more is tried again after a while of peace. An expired session (401) is renewed
 * once for all lanes.
 *
 * Holes cannot be told from zeroes this way: everything is read. Source of the statuses and limits:
 * field reports of tools that read /folder; vSphere Web Services SDK, "HTTP access to vSphere
 * server files".
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "disk/source.h"
#include "wire/http.h"

#define CONNECTIONS_DEFAULT 8
#define RUN_BYTES (32 * MIB)         /* BENCHMARKING.md says why */
#define TRIES 5                      /* of one request, when the connection breaks */
#define TRIES_OPENING 3              /* somebody waits to see whether it begins */
#define BUSY_MAX_NS (300 * NS_PER_S) /* "too busy" and not a byte on any lane */
#define BUSY_PAUSE_NS NS_PER_S       /* when the server does not say how long */
#define BUSY_PAUSE_MAX_S 30
#define PEACE_NS (60 * NS_PER_S) /* then one connection more is tried again */
#define LOOK_NS (100 * NS_PER_MS)
#define COOKIE_MAX 8192
#define MODIFIED_MAX 64

static const int64_t retry_pause_ns[TRIES] = { 0, 0, NS_PER_S / 2, 2 * NS_PER_S, 8 * NS_PER_S };

struct https_lane {
    struct http *http;
    bool open;        /* an answer is being taken: ... */
    uint64_t at, end; /* ... its next byte, and where it ends */
    bool has_slot;
    unsigned cookie_number; /* which one it asked with */
    struct http_request request;
    char range[64];
    char *cookie_line; /* "Cookie: ...", a secret */
    const char *headers[3];
};

struct https_source {
    struct source source;
    char *uri;
    uint64_t file_bytes;
    char modified[MODIFIED_MAX]; /* "": the server does not say */
    int (*renew)(const char *what, char **ret_value, void *arg, struct err *err);
    void *renew_arg;

    pthread_mutex_t renewing; /* held while a new cookie is asked for */
    pthread_mutex_t lock;     /* all that follows */
    pthread_cond_t changed;
    char *cookie; /* a secret; NULL: none */
    unsigned cookie_number;
    unsigned slots, used; /* connections allowed, and taken */
    int64_t peace_ns;     /* since when nobody was too busy */
    int64_t busy_ns;      /* since when no lane got anything for it; 0: it is not so */

    struct https_lane lanes[MAX_LANES];
};

/* What to do about a failure. */
enum verdict { GIVE_UP, TRY_AGAIN, WAIT_AND_TRY, NEW_COOKIE };

static int https_open(const struct source_spec *spec, struct source **ret, struct err *err);
static void https_close(struct source *src);
static int probe(struct https_source *h, struct err *err);
static int open_range(struct https_source *h, struct https_lane *lane, uint64_t offset,
                      uint64_t end, enum verdict *ret_verdict, struct err *err);
static enum verdict judge_status(const struct https_source *h, int status, struct err *err);
static int recover(struct https_source *h, struct https_lane *lane, enum verdict verdict,
                   unsigned *tries, struct err *err);
static int take_slot(struct https_source *h, struct https_lane *lane, struct err *err);
static void give_slot(struct https_source *h, struct https_lane *lane);

static const struct source_ops https_ops;

const struct source_kind source_kind_https = {
    .name = "https",
    .open = https_open,
};

static struct https_source *
to_https(struct source *src)
{
    return (struct https_source *)src;
}

/* ---- life ---- */

static void
close_cleanup(struct https_source **h)
{
    if (*h)
        https_close(&(*h)->source);
}

static bool
is_stopped(void *arg)
{
    const struct source *src = arg;
    return src->client && src->client->stopped(src->client_arg);
}

static int
open_lanes(struct https_source *h, const struct source_remote *remote, struct err *err)
{
    struct http_tls tls = { .ca_file = remote->ca, .thumbprint = remote->thumbprint };
    unsigned n = remote->connections ? remote->connections : CONNECTIONS_DEFAULT;
    for (n = MIN(n, (unsigned)MAX_LANES); h->source.n_lanes < n; h->source.n_lanes++) {
        struct https_lane *lane = &h->lanes[h->source.n_lanes];
        if (http_new(&tls, &lane->http, err) < 0)
            return err_prefix(err, "%s", h->source.name);
        lane->request = (struct http_request){
            .url = h->uri,
            .headers = lane->headers,
            .cancelled = is_stopped,
            .cancelled_arg = h,
        };
    }
    h->slots = n;
    return 0;
}

static int
https_open(const struct source_spec *spec, struct source **ret, struct err *err)
{
    const struct source_remote *remote = &spec->remote;
    AUTO(close_cleanup) struct https_source *h = calloc(1, sizeof *h);
    const char *name = remote->name ? remote->name : "datastore file";
    if (!h)
        return err_errno(err, ENOMEM, "%s", name);
    h->source = (struct source){ .ops = &https_ops, .depth = 1, .run_bytes = RUN_BYTES };
    pthread_mutex_init(&h->renewing, NULL);
    pthread_mutex_init(&h->lock, NULL);
    cond_init_monotonic(&h->changed);
    h->peace_ns = clock_now_ns();
    h->renew = remote->renew;
    h->renew_arg = remote->renew_arg;
    if (!remote->uri)
        return err_set(err, ERR_INVALID, "%s: no URL says where to read it", name);
    h->source.name = strdup(name);
    h->uri = strdup(remote->uri);
    h->cookie = remote->cookie ? strdup(remote->cookie) : NULL;
    if (!h->source.name || !h->uri || (remote->cookie && !h->cookie))
        return err_errno(err, ENOMEM, "%s", name);
    if (open_lanes(h, remote, err) < 0 || probe(h, err) < 0)
        return -1;
    source_set_identity(&h->source, "https", remote->identity);
    *ret = &TAKE_PTR(h)->source;
    return 0;
}

static void
https_close(struct source *src)
{
    struct https_source *h = to_https(src);
    for (unsigned i = 0; i < MAX_LANES; i++) {
        http_free(h->lanes[i].http);
        secret_free(h->lanes[i].cookie_line);
    }
    secret_free(h->cookie);
    pthread_mutex_destroy(&h->renewing);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->changed);
    free(h->uri);
    free(src->name);
    free(h);
}

static int
pull(const struct https_source *h, struct https_lane *lane, void *data, size_t len, size_t *ret_got,
     enum verdict *ret_verdict, struct err *err)
{
    if (http_pull(lane->http, data, len, ret_got, err) == 0)
        return 0;
    *ret_verdict = err->kind == ERR_UNAVAILABLE ? TRY_AGAIN : GIVE_UP;
    return err_prefix(err, "%s", h->source.name);
}

static void
end_range(struct https_source *h, struct https_lane *lane)
{
    http_end(lane->http);
    lane->open = false;
    give_slot(h, lane);
}

/* ---- what the file is ---- */

/* What a file of a datastore begins with when it is not the bytes of a disk. */
static int
check_head(const struct https_source *h, const uint8_t *head, size_t len, struct err *err)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *what;
    } others[] = {
        { "# Disk DescriptorFile", 21, "the descriptor of a disk" },
        { "KDMV", 4, "a sparse VMDK" },
        { "COWD", 4, "the redo log of a snapshot" },
        { "\xbe\xba\xfe\xca\0\0\0\0", 8, "the sparse file of a snapshot" },
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (len >= others[i].len && memcmp(head, others[i].magic, others[i].len) == 0)
            return err_set(err, ERR_INVALID,
                           "%s: is %s and not the -flat.vmdk with its bytes; remove the machine's "
                           "snapshots or read it by another transport",
                           h->source.name, others[i].what);
    return 0;
}

/* Where the server does not tell the size with a range. */
static int
ask_size(struct https_source *h, uint64_t *ret, struct err *err)
{
    struct https_lane *lane = &h->lanes[0];
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    struct http_request request = lane->request;
    const char *headers[] = { lane->cookie_line, NULL };
    char *end = NULL;
    request.method = "HEAD";
    request.headers = headers;
    if (http_perform(lane->http, &request, &response, err) < 0)
        return -1;
    const char *length = http_header(&response.headers, "Content-Length");
    errno = 0;
    *ret = length ? strtoull(length, &end, 10) : 0;
    if (response.status != 200 || !length || errno || end == length || *end || *length == '-')
        return err_set(err, ERR_INVALID,
                       "%s: the server does not say how long it is (status %d); read it by another "
                       "transport",
                       h->source.name, response.status);
    return 0;
}

/* Its first sector by a range, which tells all: whether it is there, how long, and that ranges are
 * understood. */
static int
probe(struct https_source *h, struct err *err)
{
    struct https_lane *lane = &h->lanes[0];
    uint8_t head[SECTOR_BYTES];
    unsigned tries = 0;
    size_t got = 0;
    for (;;) {
        enum verdict verdict = TRY_AGAIN;
        h->file_bytes = 0;
        if (open_range(h, lane, 0, sizeof head, &verdict, err) == 0 &&
            pull(h, lane, head, sizeof head, &got, &verdict, err) == 0)
            break;
        if (recover(h, lane, verdict, &tries, err) < 0)
            return -1;
    }
    end_range(h, lane);
    if (check_head(h, head, got, err) < 0 ||
        (h->file_bytes == 0 && ask_size(h, &h->file_bytes, err) < 0))
        return -1;
    h->source.bytes = round_up(h->file_bytes, SECTOR_BYTES);
    return 0;
}

/* ---- reading ---- */

/* The rest of the answer that is open, or the first of a new one. */
static int
read_once(struct https_source *h, struct https_lane *lane, const struct request *req, size_t len,
          enum verdict *ret_verdict, struct err *err)
{
    if (lane->open && lane->at != req->offset)
        end_range(h, lane);
    uint64_t end = MIN(MAX(req->run_end, req->offset + len), h->file_bytes);
    if (!lane->open && open_range(h, lane, req->offset, end, ret_verdict, err) < 0)
        return -1;
    size_t got = 0;
    if (pull(h, lane, req->data, len, &got, ret_verdict, err) < 0)
        return -1;
    if (got < len) {
        *ret_verdict = TRY_AGAIN;
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: the server's answer ended at byte %" PRIu64 " instead of %" PRIu64,
                       h->source.name, lane->at + got, lane->end);
    }
    lane->at += len;
    if (lane->at == lane->end)
        end_range(h, lane);
    return 0;
}

static int
https_read(struct source *src, unsigned lane_no, struct request *req, struct err *err)
{
    struct https_source *h = to_https(src);
    struct https_lane *lane = &h->lanes[lane_no];
    size_t len = (size_t)MIN((uint64_t)req->len, h->file_bytes - MIN(req->offset, h->file_bytes));
    memset(req->data + len, 0, req->len - len); /* behind a file that is not whole sectors */
    unsigned tries = 0;
    enum verdict verdict = TRY_AGAIN;
    while (len > 0 && read_once(h, lane, req, len, &verdict, err) < 0)
        if (recover(h, lane, verdict, &tries, err) < 0)
            return -1;
    pthread_mutex_lock(&h->lock);
    h->busy_ns = 0;
    pthread_mutex_unlock(&h->lock);
    return 0;
}

/* ---- asking for a range ---- */

static int
use_cookie(struct https_source *h, struct https_lane *lane, struct err *err)
{
    char *line = NULL;
    pthread_mutex_lock(&h->lock);
    lane->cookie_number = h->cookie_number;
    int r = h->cookie ? asprintf(&line, "Cookie: %s", h->cookie) : 0;
    pthread_mutex_unlock(&h->lock);
    if (r < 0)
        return err_errno(err, ENOMEM, "%s", h->source.name);
    secret_free(lane->cookie_line);
    lane->cookie_line = line;
    lane->headers[0] = lane->range;
    lane->headers[1] = line;
    return 0;
}

/* "bytes 0-511/1073741824", or "*" for the total (0 then). */
static bool
parse_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last, uint64_t *ret_total)
{
    static const char unit[] = "bytes ", behind[] = { '-', '/', '\0' };
    uint64_t *const to[] = { ret_first, ret_last, ret_total };
    if (!text || strncmp(text, unit, strlen(unit)) != 0)
        return false;
    text += strlen(unit);
    for (size_t i = 0; i < ARRAY_LEN(to); i++) {
        char *end;
        errno = 0;
        bool unknown = i == 2 && strcmp(text, "*") == 0;
        if (!unknown && (*text < '0' || *text > '9'))
            return false;
        *to[i] = unknown ? 0 : strtoull(text, &end, 10);
        if (unknown)
            return true;
        if (errno || *end != behind[i])
            return false;
        text = end + 1;
    }
    return true;
}

/* Is it what was asked for, of a file that is as long as ever? */
static int
check_content_range(struct https_source *h, const char *text, uint64_t offset, uint64_t end,
                    bool probing, struct err *err)
{
    uint64_t first, last, total;
    if (!parse_content_range(text, &first, &last, &total))
        return err_set(err, ERR_INVALID, "%s: the server does not say which part of it it sends",
                       h->source.name);
    if (probing && total) {
        h->file_bytes = total;
        end = MIN(end, total);
    }
    if (total && total != h->file_bytes)
        return err_set(err, ERR_CONFLICT,
                       "%s: was %" PRIu64 " bytes long and is now %" PRIu64
                       ": it was changed while it was read; see that the machine is off or has a "
                       "snapshot, and start again",
                       h->source.name, h->file_bytes, total);
    if (first != offset || last != end - 1)
        return err_set(err, ERR_INVALID,
                       "%s: the server sends bytes %" PRIu64 " to %" PRIu64 " instead of %" PRIu64
                       " to %" PRIu64,
                       h->source.name, first, last, offset, end - 1);
    return 0;
}

static int
check_modified(struct https_source *h, const char *modified, bool probing, struct err *err)
{
    if (probing)
        snprintf(h->modified, sizeof h->modified, "%s", modified ? modified : "");
    else if (h->modified[0] && modified && strncmp(h->modified, modified, MODIFIED_MAX - 1) != 0)
        return err_set(err, ERR_CONFLICT,
                       "%s: was changed while it was read (at %.40s, before that %s); see that the "
                       "machine is off or has a snapshot, and start again",
                       h->source.name, modified, h->modified);
    return 0;
}

static int
open_range(struct https_source *h, struct https_lane *lane, uint64_t offset, uint64_t end,
           enum verdict *ret_verdict, struct err *err)
{
    int status = 0;
    *ret_verdict = GIVE_UP;
    if (use_cookie(h, lane, err) < 0 || take_slot(h, lane, err) < 0)
        return -1;
    snprintf(lane->range, sizeof lane->range, "Range: bytes=%" PRIu64 "-%" PRIu64, offset, end - 1);
    if (http_begin(lane->http, &lane->request, &status, err) < 0) {
        *ret_verdict = err->kind == ERR_UNAVAILABLE ? TRY_AGAIN : GIVE_UP;
        return err_prefix(err, "%s", h->source.name);
    }
    if (status != 206) {
        *ret_verdict = judge_status(h, status, err);
        return -1;
    }
    const struct http_headers *headers = http_last_headers(lane->http);
    bool probing = h->source.bytes == 0;
    if (check_content_range(h, http_header(headers, "Content-Range"), offset, end, probing, err) <
            0 ||
        check_modified(h, http_header(headers, "Last-Modified"), probing, err) < 0)
        return -1;
    lane->open = true;
    lane->at = offset;
    lane->end = end;
    return 0;
}

/* ---- what went wrong ---- */

static enum verdict
judge_status(const struct https_source *h, int status, struct err *err)
{
    const char *name = h->source.name;
    bool probing = h->source.bytes == 0;
    switch (status) {
    case 200:
        err_set(err, ERR_INVALID,
                "%s: the server sends all of it instead of the part that was asked for, so it "
                "cannot be read this way; use another transport",
                name);
        return GIVE_UP;
    case 401:
        err_set(err, ERR_DENIED, "%s: the session is not known to the server; log in again", name);
        return NEW_COOKIE;
    case 403:
        err_set(err, ERR_DENIED,
                "%s: the user may not read files of this datastore; it needs the privileges "
                "Datastore.Browse and Datastore.FileManagement",
                name);
        return GIVE_UP;
    case 404:
        err_set(err, ERR_NOT_FOUND,
                "%s: is not there; check the names of file, datastore and datacenter", name);
        return GIVE_UP;
    case 416:
        err_set(err, probing ? ERR_INVALID : ERR_CONFLICT, "%s: is %s", name,
                probing ? "empty" : "shorter than when the copy began: it was changed meanwhile");
        return GIVE_UP;
    case 500:
        err_set(err, ERR_CONFLICT,
                "%s: the server cannot open it; most often it is locked, because the machine runs "
                "without a snapshot or because another tool (backup, console, NFC) reads it: power "
                "the machine off, make a snapshot, or end the other tool",
                name);
        return probing ? GIVE_UP : TRY_AGAIN;
    case 429:
    case 503:
        err_set(err, ERR_UNAVAILABLE,
                "%s: the server is too busy (status %d) for %u connections; try again later, or "
                "with fewer",
                name, status, h->source.n_lanes);
        return WAIT_AND_TRY;
    default:
        err_set(err, status >= 500 || status == 408 ? ERR_UNAVAILABLE : ERR_INVALID,
                "%s: the server answers a request for a part of it with status %d%s", name, status,
                status >= 300 && status < 400 ? ", which sends us elsewhere; give the server that "
                                                "has the file"
                                              : "");
        return status >= 500 || status == 408 ? TRY_AGAIN : GIVE_UP;
    }
}

static int
pause_until(struct https_source *h, int64_t until_ns, struct err *err)
{
    for (int64_t now_ns; (now_ns = clock_now_ns()) < until_ns;) {
        if (is_stopped(h))
            return err_set(err, ERR_CANCELLED, "%s: copy was stopped", h->source.name);
        clock_sleep_until_ns(MIN(until_ns, now_ns + LOOK_NS));
    }
    return 0;
}

/* One connection less, and a pause as long as the server says. */
static int
step_back(struct https_source *h, struct https_lane *lane, struct err *err)
{
    const char *after = http_header(http_last_headers(lane->http), "Retry-After");
    long seconds = after ? strtol(after, NULL, 10) : 0;
    int64_t pause_ns = seconds > 0 ? MIN(seconds, BUSY_PAUSE_MAX_S) * NS_PER_S : BUSY_PAUSE_NS;
    int64_t now_ns = clock_now_ns();
    pthread_mutex_lock(&h->lock);
    h->busy_ns = h->busy_ns ? h->busy_ns : now_ns;
    bool hopeless = now_ns - h->busy_ns > BUSY_MAX_NS;
    h->slots = MAX(1u, MIN(h->slots, h->used) - 1);
    h->peace_ns = now_ns + pause_ns;
    unsigned slots = h->slots;
    pthread_mutex_unlock(&h->lock);
    give_slot(h, lane);
    if (hopeless)
        return -1;
    log_debug("%s: the server is busy, going on with %u connections", h->source.name, slots);
    return pause_until(h, now_ns + pause_ns, err);
}

/* A new cookie, unless another lane got one since this one asked. */
static int
renew_cookie(struct https_source *h, const struct https_lane *lane, struct err *err)
{
    auto_secret char *cookie = NULL;
    pthread_mutex_lock(&h->renewing);
    pthread_mutex_lock(&h->lock);
    bool have = h->cookie_number != lane->cookie_number;
    pthread_mutex_unlock(&h->lock);
    int r = 0;
    struct err why = ERR_INIT;
    if (!have && h->renew)
        r = h->renew("cookie", &cookie, h->renew_arg, &why);
    else if (!have)
        r = -1; /* err says it */
    if (r < 0 && why.kind != ERR_NONE)
        err_set(err, why.kind, "%s: %s", h->source.name, why.text);
    if (r == 0 && !have && strlen(cookie) > COOKIE_MAX)
        r = err_set(err, ERR_INVALID, "%s: a cookie of %zu bytes is none", h->source.name,
                    strlen(cookie));
    if (r == 0 && !have) {
        pthread_mutex_lock(&h->lock);
        secret_free(h->cookie);
        h->cookie = TAKE_PTR(cookie);
        h->cookie_number++;
        pthread_mutex_unlock(&h->lock);
    }
    pthread_mutex_unlock(&h->renewing);
    return r;
}

/* After a failure that is in err: 0 to try again, or -1. */
static int
recover(struct https_source *h, struct https_lane *lane, enum verdict verdict, unsigned *tries,
        struct err *err)
{
    http_end(lane->http);
    lane->open = false;
    bool busy = verdict == WAIT_AND_TRY, opening = h->source.bytes == 0;
    unsigned most = opening ? TRIES_OPENING : TRIES;
    bool last = (!busy || opening) && ++*tries >= most;
    if (busy && !last)
        return step_back(h, lane, err);
    give_slot(h, lane);
    if (verdict == GIVE_UP || is_stopped(h))
        return -1;
    if (last)
        return err_prefix(err, "tried %u times", most);
    if (verdict == NEW_COOKIE)
        return renew_cookie(h, lane, err);
    log_debug("%s; try %u", err->text, *tries + 1);
    http_drop_connections(lane->http);
    return pause_until(h, clock_now_ns() + retry_pause_ns[*tries], err);
}

/* ---- how many connections ---- */

static int
take_slot(struct https_source *h, struct https_lane *lane, struct err *err)
{
    int r = 0;
    pthread_mutex_lock(&h->lock);
    while (!lane->has_slot && r == 0) {
        int64_t now_ns = clock_now_ns();
        if (h->slots < h->source.n_lanes && now_ns - h->peace_ns > PEACE_NS) {
            h->slots++;
            h->peace_ns = now_ns;
        }
        if (h->used < h->slots) {
            h->used++;
            lane->has_slot = true;
            break;
        }
        int64_t until_ns = now_ns + LOOK_NS;
        struct timespec until = { .tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S };
        pthread_cond_timedwait(&h->changed, &h->lock, &until);
        if (is_stopped(h))
            r = err_set(err, ERR_CANCELLED, "%s: copy was stopped", h->source.name);
    }
    pthread_mutex_unlock(&h->lock);
    return r;
}

static void
give_slot(struct https_source *h, struct https_lane *lane)
{
    pthread_mutex_lock(&h->lock);
    h->used -= lane->has_slot;
    lane->has_slot = false;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static const struct source_ops https_ops = {
    .name = "https",
    .read = https_read,
    .close = https_close,
};
