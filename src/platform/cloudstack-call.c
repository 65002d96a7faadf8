#include "platform/cloudstack-call.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/clock.h"

#define HTTPS_PORT 443
#define HTTP_PORT 80
#define FIRST_PAUSE_MS 500
#define STEP_NS (100 * NS_PER_MS)
#define EXPIRES_MAX 32
#define FORM_HEADER "Content-Type: application/x-www-form-urlencoded; charset=UTF-8"
#define OWN_PARAMS 5 /* apiKey, expires, response, signatureVersion, command */

/* ---- life ---- */

static int
copy_text(char **to, const char *text, struct err *err)
{
    *to = strdup(text);
    return *to ? 0 : err_errno(err, ENOMEM, "CloudStack");
}

int
cloudstack_new(const struct cloudstack_options *options, struct cloudstack **ret, struct err *err)
{
    auto_url struct url url = { .port = 0 };
    if (!options->endpoint || !options->api_key || !options->secret_key || !*options->api_key ||
        !*options->secret_key)
        return err_set(err, ERR_INVALID,
                       "CloudStack: the config lacks cloudstack.endpoint, api_key or secret_key");
    if (url_parse(options->endpoint, &url, err) < 0)
        return err_prefix(err, "cloudstack.endpoint");
    bool plain = strcmp(url.scheme, "http") == 0;
    if ((!plain && strcmp(url.scheme, "https") != 0) || url.query || url.has_user)
        return err_set(err, ERR_INVALID,
                       "cloudstack.endpoint: %s: write https://HOST[:PORT]/client/api, without a "
                       "user and without a query",
                       url.host);
    auto_cloudstack struct cloudstack *cloud = calloc(1, sizeof *cloud);
    if (!cloud)
        return err_errno(err, ENOMEM, "CloudStack");
    url_endpoint(url.host, url.port ? url.port : plain ? HTTP_PORT : HTTPS_PORT, cloud->server);
    struct http_tls tls = { .ca_file = options->ca_file,
                            .thumbprint = options->thumbprint,
                            .plain = plain };
    if (copy_text(&cloud->url, options->endpoint, err) < 0 ||
        copy_text(&cloud->api_key, options->api_key, err) < 0 ||
        copy_text(&cloud->secret_key, options->secret_key, err) < 0 ||
        http_new(&tls, &cloud->http, err) < 0)
        return -1;
    cloud->timeout_ms = (options->timeout_s ? options->timeout_s : CLOUDSTACK_TIMEOUT_S) * 1000;
    cloud->cancelled = options->cancelled;
    cloud->cancelled_arg = options->cancelled_arg;
    *ret = TAKE_PTR(cloud);
    return 0;
}

void
cloudstack_free(struct cloudstack *cloud)
{
    if (!cloud)
        return;
    http_free(cloud->http);
    free(cloud->url);
    secret_free(cloud->api_key);
    secret_free(cloud->secret_key);
    free(cloud);
}

const char *
cloudstack_server(const struct cloudstack *cloud)
{
    return cloud->server;
}

int64_t
cloudstack_skew_s(const struct cloudstack *cloud)
{
    return cloud->skew_s;
}

/* ---- one request ---- */

static void
format_expires(char text[EXPIRES_MAX])
{
    time_t at = (time_t)(clock_wall_s() + CLOUDSTACK_LIFETIME_S);
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text, EXPIRES_MAX, "%Y-%m-%dT%H:%M:%S+0000", &tm);
}

/* Brackets are encoded, for the proxies that refuse them. */
static int
add_field(struct buf *body, const char *name, const char *value, struct err *err)
{
    if (body->len > 0 && buf_add_str(body, "&", err) < 0)
        return -1;
    return cloudstack_encode(name, body, err) < 0 || buf_add_str(body, "=", err) < 0
               ? -1
               : cloudstack_encode(value, body, err);
}

static int
make_body(const struct cloudstack *cloud, const struct cloudstack_call *call, struct buf *body,
          struct err *err)
{
    char expires[EXPIRES_MAX], signature[CLOUDSTACK_SIGNATURE_MAX];
    struct cloudstack_param params[OWN_PARAMS + CLOUDSTACK_CALL_PARAMS];
    size_t n = 0;
    format_expires(expires);
    params[n++] = (struct cloudstack_param){ "apiKey", cloud->api_key };
    params[n++] = (struct cloudstack_param){ "command", call->command };
    params[n++] = (struct cloudstack_param){ "expires", expires };
    params[n++] = (struct cloudstack_param){ "response", "json" };
    params[n++] = (struct cloudstack_param){ "signatureVersion", "3" };
    for (size_t i = 0; i < CLOUDSTACK_CALL_PARAMS && call->params[i].name; i++)
        if (call->params[i].value && *call->params[i].value)
            params[n++] = call->params[i];
    if (cloudstack_sign(params, n, cloud->secret_key, signature, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (add_field(body, params[i].name, params[i].value, err) < 0)
            return -1;
    return add_field(body, "signature", signature, err);
}

static int
send_once(struct cloudstack *cloud, const struct cloudstack_call *call, json_t **ret,
          int *ret_pause_ms, struct err *err)
{
    static const char *const headers[] = { FORM_HEADER, "Accept: application/json", NULL };
    auto_buf struct buf body = BUF_INIT(CLOUDSTACK_BODY_MAX);
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    *ret_pause_ms = 0;
    cloud->code = 0;
    if (make_body(cloud, call, &body, err) < 0)
        return err_prefix(err, "%s: %s (%s)", cloud->server, call->what, call->command);
    struct http_request request = { .method = "POST",
                                    .url = cloud->url,
                                    .headers = headers,
                                    .body = body.data,
                                    .body_len = body.len,
                                    .timeout_ms = cloud->timeout_ms,
                                    .stall_ms = cloud->timeout_ms,
                                    .max_response_bytes = CLOUDSTACK_ANSWER_MAX,
                                    .compressed = true,
                                    .cancelled = cloud->cancelled,
                                    .cancelled_arg = cloud->cancelled_arg };
    if (http_perform(cloud->http, &request, &response, err) < 0) {
        if (err->kind == ERR_UNAVAILABLE && cloud->answered)
            *ret_pause_ms = FIRST_PAUSE_MS;
        return err_prefix(err, "%s (%s)", call->what, call->command);
    }
    cloud->answered = true;
    return cloudstack_read_answer(cloud, call, &response, ret, ret_pause_ms, err);
}

static int
pause_ms(const struct cloudstack *cloud, int ms, struct err *err)
{
    int64_t end_ns = clock_now_ns() + ms * NS_PER_MS;
    while (clock_now_ns() < end_ns) {
        if (cloud->cancelled && cloud->cancelled(cloud->cancelled_arg))
            return err_set(err, ERR_CANCELLED, "stopped on request");
        clock_sleep_until_ns(MIN(end_ns, clock_now_ns() + STEP_NS));
    }
    return 0;
}

int
cloudstack_ask(struct cloudstack *cloud, const struct cloudstack_call *call, json_t **ret,
               struct err *err)
{
    for (int tries = 1;; tries++) {
        int pause = 0;
        struct err failure = ERR_INIT;
        if (send_once(cloud, call, ret, &pause, &failure) == 0)
            return 0;
        if (pause == 0 || tries == CLOUDSTACK_TRIES) {
            *err = failure;
            return -1;
        }
        if (pause_ms(cloud, pause << (tries - 1), err) < 0)
            return -1;
    }
}

/* ---- lists ---- */

static int
take_rows(const json_t *rows, const struct cloudstack_call *call, cloudstack_row_fn *each,
          void *arg, struct err *err)
{
    size_t i;
    json_t *row;
    json_array_foreach (rows, i, row) {
        if (!json_is_object(row))
            return err_set(err, ERR_INVALID, "%s: row %zu of the answer is no object",
                           call->command, i);
        int r = each(row, arg, err);
        if (r != 0)
            return r;
    }
    return 0;
}

/* The first page comes without a word about pages, because more than the server's own size of one
 * is refused: it shows that size. */
static int
ask_page(struct cloudstack *cloud, const struct cloudstack_call *call, uint64_t page,
         uint64_t page_size, json_t **ret, struct err *err)
{
    struct cloudstack_call paged = *call;
    char page_text[24], size_text[24];
    size_t n = 0;
    while (n < CLOUDSTACK_CALL_PARAMS && paged.params[n].name)
        n++;
    if (page > 1 && n + 2 > CLOUDSTACK_CALL_PARAMS)
        return err_set(err, ERR_BUG, "%s: too many parameters", call->command);
    if (page > 1) {
        snprintf(page_text, sizeof page_text, "%" PRIu64, page);
        snprintf(size_text, sizeof size_text, "%" PRIu64, page_size);
        paged.params[n] = (struct cloudstack_param){ "page", page_text };
        paged.params[n + 1] = (struct cloudstack_param){ "pagesize", size_text };
    }
    return cloudstack_ask(cloud, &paged, ret, err);
}

int
cloudstack_list(struct cloudstack *cloud, const struct cloudstack_call *call, const char *object,
                cloudstack_row_fn *each, void *arg, struct err *err)
{
    uint64_t n_rows = 0, page_size = 0;
    for (uint64_t page = 1;; page++) {
        auto_json json_t *content = NULL;
        if (ask_page(cloud, call, page, page_size, &content, err) < 0)
            return -1;
        const json_t *rows = json_object_get(content, object);
        size_t n = json_array_size(rows);
        int r = take_rows(rows, call, each, arg, err);
        if (r != 0)
            return r < 0 ? err_prefix(err, "%s: %s", cloud->server, call->what) : 0;
        page_size = page == 1 ? n : page_size;
        n_rows += n;
        if (n == 0 || n_rows >= json_get_u64(content, "count", 0))
            return 0;
        if (n_rows > CLOUDSTACK_MAX_ROWS)
            return err_set(err, ERR_INVALID, "%s: %s (%s): more than %d of them", cloud->server,
                           call->what, call->command, CLOUDSTACK_MAX_ROWS);
    }
}
