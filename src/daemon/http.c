#include "daemon/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/clock.h"

#define CONNECTIONS_MAX 64
#define HEAD_MAX ((size_t)32 << 10)
#define IDLE_MAX_S 30U
/* Of a body that is too large so much is swallowed, so that its sender comes to reading the answer.
 */
#define SWALLOW_MAX (2 * HTTP_BODY_MAX)

struct http {
    struct MHD_Daemon *mhd;
    sd_event_source *io, *timer;
    api_answer_fn *answer;
    void *arg;
    char *path; /* of our socket; NULL: there is none yet */
};

/* One request while its body comes. */
struct upload {
    struct buf body;
    size_t seen_bytes;
};

static int listen_at(struct http *http, const char *path, struct err *err);
static int drive_by(struct http *http, sd_event *event, struct err *err);
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **state);
static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why);
static enum MHD_Result answer_request(struct http *http, struct MHD_Connection *connection,
                                      const char *url, const char *method,
                                      const struct upload *upload);
static bool is_welcome(struct MHD_Connection *connection);
static bool is_announced_too_large(struct MHD_Connection *connection);
static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *code,
                              const char *text);
static enum MHD_Result send_reply(struct MHD_Connection *connection, const struct api_reply *reply);

/* ---- the socket ---- */

int
http_open(const char *path, sd_event *event, api_answer_fn *answer, void *arg,
          struct http **ret_http, struct err *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return err_errno(err, ENOMEM, "%s", path);
    http->answer = answer;
    http->arg = arg;
    int fd = listen_at(http, path, err);
    if (fd < 0)
        goto failed;
    http->mhd = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
                                 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                                 CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_MAX_S,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEAD_MAX,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
    if (!http->mhd) {
        close(fd);
        err_set(err, ERR_UNAVAILABLE, "%s: libmicrohttpd does not start", path);
        goto failed;
    }
    if (drive_by(http, event, err) < 0)
        goto failed;
    *ret_http = http;
    return 0;
failed:
    http_close(http);
    return -1;
}

void
http_close(struct http *http)
{
    if (!http)
        return;
    sd_event_source_disable_unref(http->timer);
    sd_event_source_disable_unref(http->io);
    if (http->mhd)
        MHD_stop_daemon(http->mhd);
    if (http->path)
        unlink(http->path);
    free(http->path);
    free(http);
}

/* The descriptor, or -1. The caller owns the store, so a second daemon here would be one with
 * another store: that one is left alone. */
static int
listen_at(struct http *http, const char *path, struct err *err)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof addr.sun_path)
        return err_set(err, ERR_INVALID,
                       "%s: longer than the %zu bytes of a socket's path: choose a shorter "
                       "migration.control_dir",
                       path, sizeof addr.sun_path - 1);
    memcpy(addr.sun_path, path, strlen(path));
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "%s: make a socket", path);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 || errno == EAGAIN)
        return err_set(err, ERR_CONFLICT,
                       "%s: another vmferryd answers there, with another store: choose another "
                       "migration.control_dir, or stop it",
                       path);
    if (errno == ECONNREFUSED && unlink(path) < 0)
        return err_errno(err, errno, "%s: remove what a dead vmferryd has left", path);
    mode_t before = umask(0177);
    int r = bind(fd, (struct sockaddr *)&addr, sizeof addr);
    int saved = errno;
    umask(before);
    if (r < 0)
        return err_errno(err, saved, "%s: make the socket", path);
    http->path = strdup(path);
    if (!http->path) {
        unlink(path);
        return err_errno(err, ENOMEM, "%s", path);
    }
    if (listen(fd, SOMAXCONN) < 0)
        return err_errno(err, errno, "%s: listen", path);
    return TAKE_FD(fd);
}

/* ---- in the event loop ---- */

/* Twice: what the first run has closed makes room, and only the next one listens again. */
static void
run_connections(struct http *http)
{
    MHD_run(http->mhd);
    MHD_run(http->mhd);
}

static int
on_io(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
    (void)source;
    (void)fd;
    (void)revents;
    run_connections(arg);
    return 0;
}

static int
on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
    (void)source;
    (void)usec;
    run_connections(arg);
    return 0;
}

/* Before the loop waits: until when may it? */
static int
before_waiting(sd_event_source *source, void *arg)
{
    struct http *http = arg;
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    (void)source;
    if (MHD_get_timeout(http->mhd, &timeout_ms) != MHD_YES)
        return sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
    uint64_t at_us = (uint64_t)(clock_now_ns() / 1000) + timeout_ms * 1000;
    int r = sd_event_source_set_time(http->timer, at_us);
    return r < 0 ? r : sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT);
}

static int
drive_by(struct http *http, sd_event *event, struct err *err)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0)
        return err_set(err, ERR_UNAVAILABLE, "this libmicrohttpd cannot do epoll");
    int r =
        sd_event_add_time(event, &http->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer, http);
    if (r >= 0)
        r = sd_event_add_io(event, &http->io, info->epoll_fd, EPOLLIN, on_io, http);
    if (r >= 0)
        r = sd_event_source_set_prepare(http->io, before_waiting);
    return r < 0 ? err_errno(err, -r, "watch the connections") : 0;
}

/* ---- a request ---- */

/* Called first with the head alone, then with each piece of the body, then with nothing. */
static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *data, size_t *data_size, void **state)
{
    struct upload *upload = *state;
    (void)version;
    if (!upload) {
        if (!is_welcome(connection))
            return refuse(connection, MHD_HTTP_FORBIDDEN, "denied",
                          "this socket is for the user who runs vmferryd, and for root");
        if (is_announced_too_large(connection))
            return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "too-large",
                          "a body of more than 2 MiB");
        upload = calloc(1, sizeof *upload);
        if (!upload)
            return MHD_NO;
        upload->body = BUF_INIT(HTTP_BODY_MAX);
        *state = upload;
        return MHD_YES;
    }
    if (*data_size > 0) {
        struct err err = ERR_INIT;
        upload->seen_bytes += *data_size;
        if (upload->seen_bytes <= HTTP_BODY_MAX) {
            if (buf_add(&upload->body, data, *data_size, &err) < 0)
                return MHD_NO;
        } else if (upload->seen_bytes > SWALLOW_MAX) {
            return MHD_NO;
        }
        *data_size = 0;
        return MHD_YES;
    }
    if (upload->seen_bytes > HTTP_BODY_MAX)
        return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "too-large",
                      "a body of more than 2 MiB");
    return answer_request(arg, connection, url, method, upload);
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **state,
             enum MHD_RequestTerminationCode why)
{
    struct upload *upload = *state;
    (void)arg;
    (void)connection;
    (void)why;
    if (!upload)
        return;
    buf_free(&upload->body);
    free(upload);
    *state = NULL;
}

static bool
is_welcome(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct ucred peer;
    socklen_t len = sizeof peer;
    return info && getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static bool
is_announced_too_large(struct MHD_Connection *connection)
{
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text && strtoull(text, NULL, 10) > HTTP_BODY_MAX;
}

static const char *
query_of(const char *name, void *arg)
{
    return MHD_lookup_connection_value(arg, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result
answer_request(struct http *http, struct MHD_Connection *connection, const char *url,
               const char *method, const struct upload *upload)
{
    struct api_request request = { .method = method, .path = url };
    request.query = query_of;
    request.query_arg = connection;
    auto_json json_t *body = NULL;
    if (upload->body.len > 0) {
        struct err err = ERR_INIT;
        body = json_parse_object(upload->body.data, upload->body.len, &err);
        if (!body)
            return refuse(connection, MHD_HTTP_BAD_REQUEST, "invalid", err.text);
        request.body = body;
    }
    struct api_reply reply = { .status = 0 };
    http->answer(&request, &reply, http->arg);
    enum MHD_Result r = send_reply(connection, &reply);
    json_decref(reply.body);
    return r;
}

static enum MHD_Result
refuse(struct MHD_Connection *connection, unsigned status, const char *code, const char *text)
{
    struct api_reply reply = { .status = status };
    reply.body = json_pack("{s:o, s:s}", "detail", json_text(text), "code", code);
    enum MHD_Result r = send_reply(connection, &reply);
    json_decref(reply.body);
    return r;
}

/* Takes over reply->text. Without memory the connection is closed. */
static enum MHD_Result
send_reply(struct MHD_Connection *connection, const struct api_reply *reply)
{
    char *text = reply->text;
    if (!text && reply->body)
        text = json_dumps(reply->body, JSON_COMPACT);
    if (!text)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (reply->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    enum MHD_Result r = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return r;
}
