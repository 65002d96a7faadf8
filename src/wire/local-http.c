#include "wire/local-http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/buf.h"

struct local_http {
    CURL *easy;
    struct curl_slist *headers;
    char *socket_path;
    bool (*cancelled)(void *arg);
    void *arg;
    struct buf answer;
    bool overflow; /* the answer was longer than answer.max */
    char curl_text[CURL_ERROR_SIZE];
};

static int check_socket(const char *path, struct err *err);
static int set_options(struct local_http *http, const char *method, const char *path,
                       struct err *err);
static int fail(const struct local_http *http, CURLcode result, struct err *err);
static int take_answer(struct local_http *http, int *ret_status, json_t **ret_body,
                       struct err *err);

static void
init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int
local_http_new(const char *socket_path, bool (*cancelled)(void *arg), void *arg,
               struct local_http **ret, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct sockaddr_un address;
    pthread_once(&once, init_curl);
    if (strlen(socket_path) >= sizeof address.sun_path)
        return err_set(err, ERR_INVALID, "%s: the path of a socket has at most %zu bytes",
                       socket_path, sizeof address.sun_path - 1);
    auto_local_http struct local_http *http = calloc(1, sizeof *http);
    if (!http)
        return err_errno(err, ENOMEM, "%s", socket_path);
    http->answer.max = LOCAL_HTTP_RESPONSE_MAX;
    http->cancelled = cancelled;
    http->arg = arg;
    http->easy = curl_easy_init();
    http->socket_path = strdup(socket_path);
    http->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!http->easy || !http->socket_path || !http->headers ||
        /* No waiting for "100 Continue": who listens is on this host. */
        !curl_slist_append(http->headers, "Expect:"))
        return err_errno(err, ENOMEM, "%s", socket_path);
    *ret = TAKE_PTR(http);
    return 0;
}

void
local_http_free(struct local_http *http)
{
    if (!http)
        return;
    if (http->easy)
        curl_easy_cleanup(http->easy);
    curl_slist_free_all(http->headers);
    buf_free(&http->answer);
    free(http->socket_path);
    free(http);
}

int
local_http_call(struct local_http *http, const char *method, const char *path, const json_t *body,
                int *ret_status, json_t **ret_body, struct err *err)
{
    auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !text)
        return err_set(err, ERR_BUG, "%s: a request could not be built", http->socket_path);
    if (text && strlen(text) > LOCAL_HTTP_REQUEST_MAX)
        return err_set(err, ERR_INVALID, "%s: a request of %zu bytes is over the limit of %d",
                       http->socket_path, strlen(text), LOCAL_HTTP_REQUEST_MAX);
    if (check_socket(http->socket_path, err) < 0)
        return -1;
    http->answer.len = 0;
    http->overflow = false;
    http->curl_text[0] = '\0';
    if (set_options(http, method, path, err) < 0)
        return -1;
    if (text) {
        curl_easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
        curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, text);
    }
    curl_easy_setopt(http->easy, CURLOPT_CUSTOMREQUEST, method);
    CURLcode result = curl_easy_perform(http->easy);
    return result == CURLE_OK ? take_answer(http, ret_status, ret_body, err)
                              : fail(http, result, err);
}

/* Who may write into the folder could put a socket of their own there. */
static int
check_socket(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return err_errno(err, errno, "%s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is no socket", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(err, ERR_DENIED,
                       "%s belongs to user %u, who is neither root nor this user: not spoken to",
                       path, st.st_uid);
    return 0;
}

/* ---- what curl calls ---- */

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
    struct local_http *http = arg;
    struct err full = ERR_INIT;
    if (buf_add(&http->answer, data, size * n, &full) < 0) {
        http->overflow = true;
        return 0;
    }
    return size * n;
}

static int
on_tick(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    struct local_http *http = arg;
    (void)down_all, (void)down, (void)up_all, (void)up;
    return http->cancelled && http->cancelled(http->arg);
}

/* ---- one request ---- */

static int
set_options(struct local_http *http, const char *method, const char *path, struct err *err)
{
    CURL *easy = http->easy;
    auto_free char *url = NULL;
    /* The name is for the Host header only. */
    if (asprintf(&url, "http://localhost%s", path) < 0) {
        url = NULL;
        return err_errno(err, ENOMEM, "%s %s", method, path);
    }
    curl_easy_reset(easy); /* keeps the connection */
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->socket_path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)LOCAL_HTTP_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)LOCAL_HTTP_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "vmferry/" VMFERRY_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->curl_text);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_tick);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, http);
    return 0;
}

static int
fail(const struct local_http *http, CURLcode result, struct err *err)
{
    const char *why = *http->curl_text ? http->curl_text : curl_easy_strerror(result);
    long errnum = 0;
    curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &errnum);
    if (result == CURLE_ABORTED_BY_CALLBACK)
        return err_set(err, ERR_CANCELLED, "stopped on request");
    if (http->overflow)
        return err_set(err, ERR_INVALID, "%s: its answer is longer than %d bytes",
                       http->socket_path, LOCAL_HTTP_RESPONSE_MAX);
    if (result == CURLE_OUT_OF_MEMORY)
        return err_errno(err, ENOMEM, "%s", http->socket_path);
    if (result == CURLE_COULDNT_CONNECT && (errnum == EACCES || errnum == EPERM))
        return err_errno(err, (int)errnum, "%s: connect", http->socket_path);
    if (result == CURLE_COULDNT_CONNECT)
        return err_set(err, ERR_UNAVAILABLE, "%s: nobody listens there", http->socket_path);
    if (result == CURLE_UNSUPPORTED_PROTOCOL || result == CURLE_WEIRD_SERVER_REPLY)
        return err_set(err, ERR_INVALID, "%s: its answer is no HTTP", http->socket_path);
    return err_set(err, ERR_UNAVAILABLE, "%s: %s", http->socket_path, why);
}

static int
take_answer(struct local_http *http, int *ret_status, json_t **ret_body, struct err *err)
{
    long status = 0;
    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    json_t *body = http->answer.len ? json_parse_object(http->answer.data, http->answer.len, err)
                                    : json_object();
    if (!body)
        return err_prefix(err, "%s: the answer of status %ld", http->socket_path, status);
    *ret_status = (int)status;
    *ret_body = body;
    return 0;
}
