#include "vmware/datastore.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/clock.h"
#include "vmware/call.h"
#include "vmware/property.h"
#include "wire/url.h"

#define HOST_DATACENTER "ha-datacenter"
#define FIRST_PAUSE_MS 1000
#define STALL_MS 120000

int
vmware_datastore_path_split(const char *file, char **ret_datastore, char **ret_path,
                            struct err *err)
{
    const char *end = *file == '[' ? strstr(file, "] ") : NULL;
    if (!end && *file == '[' && file[strlen(file) - 1] == ']') /* the datastore itself */
        end = file + strlen(file) - 1;
    if (!end || end == file + 1)
        return err_set(err, ERR_INVALID, "%.200s: no path on a datastore, such as \"[ds1] dir/x\"",
                       file);
    const char *path = end + 1 + strspn(end + 1, " ");
    auto_free char *datastore = strndup(file + 1, (size_t)(end - file - 1));
    char *own = strdup(path + strspn(path, "/"));
    if (!datastore || !own) {
        free(own);
        return err_errno(err, ENOMEM, "%.200s", file);
    }
    *ret_datastore = TAKE_PTR(datastore);
    *ret_path = own;
    return 0;
}

/* ---- URLs ---- */

/* vCenter takes its parameters through two decoders. */
static int
add_parameter(const struct vmware_session *session, struct buf *url, const char *text,
              struct err *err)
{
    auto_buf struct buf once = BUF_INIT(HTTP_URL_MAX);
    if (!session->about.vcenter)
        return url_encode(text, URL_KEEP_NOTHING, url, err);
    if (url_encode(text, URL_KEEP_NOTHING, &once, err) < 0)
        return -1;
    return url_encode(once.data ? once.data : "", URL_KEEP_NOTHING, url, err);
}

int
vmware_datastore_url(struct vmware_session *session, const char *datacenter_path, const char *file,
                     char **ret_url, struct err *err)
{
    auto_free char *datastore = NULL, *path = NULL;
    auto_buf struct buf url = BUF_INIT(HTTP_URL_MAX - 1);
    const char *datacenter = session->about.vcenter ? datacenter_path : HOST_DATACENTER;
    if (vmware_datastore_path_split(file, &datastore, &path, err) < 0)
        return -1;
    if (!datacenter || !*datacenter)
        return err_set(err, ERR_INVALID, "%s: %s: the datacenter of the file is not known",
                       session->endpoint, file);
    datacenter += strspn(datacenter, "/");
    size_t sdk = strlen(session->url) - strlen("/sdk");
    if (buf_add(&url, session->url, sdk, err) < 0 || buf_add_str(&url, "/folder/", err) < 0 ||
        url_encode(path, URL_KEEP_SLASH, &url, err) < 0 || buf_add_str(&url, "?dcPath=", err) < 0 ||
        add_parameter(session, &url, datacenter, err) < 0 ||
        buf_add_str(&url, "&dsName=", err) < 0 || add_parameter(session, &url, datastore, err) < 0)
        return err_prefix(err, "%s: %s", session->endpoint, file);
    *ret_url = TAKE_PTR(url.data);
    return 0;
}

/* ---- asking ---- */

static int
judge(const struct vmware_session *session, const char *file, int status, struct err *err)
{
    switch (status) {
    case 401:
    case 403:
        return err_set(err, ERR_DENIED,
                       "%s: %s: HTTP status %d: %s needs the privileges "
                       "Datastore.Browse and Datastore.FileManagement on the datastore",
                       session->endpoint, file, status, session->user);
    case 404:
        return err_set(err, ERR_NOT_FOUND, "%s: %s: there is no such file on the datastore",
                       session->endpoint, file);
    case 500:
        return err_set(err, ERR_CONFLICT,
                       "%s: %s: HTTP status 500: the file is locked (a running "
                       "machine, a backup or another copy holds it) or cannot be read there",
                       session->endpoint, file);
    case 503:
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: %s: HTTP status 503: too many connections; try "
                       "again later",
                       session->endpoint, file);
    default:
        return err_set(err, status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID, "%s: %s: HTTP status %d",
                       session->endpoint, file, status);
    }
}

static int
try_once(struct vmware_session *session, const char *method, const char *url, size_t max,
         struct http_response *ret, struct err *err)
{
    auto_secret char *cookie = NULL, *header = NULL;
    if (vmware_cookie(session, &cookie, err) < 0)
        return -1;
    if (asprintf(&header, "Cookie: %s", cookie) < 0) {
        header = NULL;
        return err_errno(err, ENOMEM, "%s", session->endpoint);
    }
    const char *headers[] = { "User-Agent: vmferry/" VMFERRY_VERSION, header, NULL };
    struct http_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .stall_ms = STALL_MS,
        .max_response_bytes = max,
        .cancelled = session->cancelled,
        .cancelled_arg = session->cancelled_arg,
    };
    return http_perform(session->http, &request, ret, err);
}

/* Any status that is neither an ended session nor too many connections. */
static int
ask(struct vmware_session *session, const char *method, const char *url, size_t max,
    struct http_response *ret, struct err *err)
{
    bool renewed = false;
    int pause_ms = FIRST_PAUSE_MS;
    for (int tries = 1;; tries++) {
        int r = try_once(session, method, url, max, ret, err);
        if (r == 0 && ret->status == 401 && !renewed) {
            renewed = true;
            if (session_login_again(session, err) < 0)
                return -1;
            continue;
        }
        bool passing =
            r == 0 ? ret->status == 502 || ret->status == 503 : err->kind == ERR_UNAVAILABLE;
        if (!passing || tries == CALL_TRIES)
            return r;
        if (session_sleep_ms(session, pause_ms, err) < 0)
            return -1;
        pause_ms *= 2;
    }
}

int
vmware_datastore_read(struct vmware_session *session, const char *datacenter_path, const char *file,
                      size_t max, char **ret_text, size_t *ret_len, struct err *err)
{
    auto_free char *url = NULL;
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    if (vmware_datastore_url(session, datacenter_path, file, &url, err) < 0)
        return -1;
    if (ask(session, "GET", url, max, &response, err) < 0)
        return err_prefix(err, "%s", file);
    if (response.status != 200)
        return judge(session, file, response.status, err);
    *ret_len = response.body.len;
    if (!response.body.data && !(response.body.data = calloc(1, 1)))
        return err_errno(err, ENOMEM, "%s", file);
    *ret_text = TAKE_PTR(response.body.data);
    return 0;
}

int
vmware_datastore_size(struct vmware_session *session, const char *datacenter_path, const char *file,
                      uint64_t *ret_bytes, struct err *err)
{
    auto_free char *url = NULL;
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    if (vmware_datastore_url(session, datacenter_path, file, &url, err) < 0)
        return -1;
    if (ask(session, "HEAD", url, 0, &response, err) < 0)
        return err_prefix(err, "%s", file);
    if (response.status != 200)
        return judge(session, file, response.status, err);
    const char *length = http_header(&response.headers, "Content-Length");
    if (!length || !*length || strspn(length, "0123456789") != strlen(length))
        return err_set(err, ERR_UNAVAILABLE, "%s: %s: the server does not say how large it is",
                       session->endpoint, file);
    *ret_bytes = text_u64(length);
    return 0;
}

int
vmware_datastore_exists(struct vmware_session *session, const char *datacenter_path,
                        const char *file, bool *ret, struct err *err)
{
    auto_free char *url = NULL;
    auto_http_response struct http_response response = HTTP_RESPONSE_INIT;
    if (vmware_datastore_url(session, datacenter_path, file, &url, err) < 0)
        return -1;
    if (ask(session, "HEAD", url, 0, &response, err) < 0)
        return err_prefix(err, "%s", file);
    /* A directory may be answered by a way to its list. A locked file is there. */
    *ret = response.status == 200 || response.status / 100 == 3 || response.status == 500;
    return *ret || response.status == 404 ? 0 : judge(session, file, response.status, err);
}

int
vmware_descriptor_read(struct vmware_session *session, const char *datacenter_path,
                       const char *file, struct vmware_descriptor **ret, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    if (vmware_datastore_read(session, datacenter_path, file, VMWARE_DESCRIPTOR_MAX, &text, &len,
                              err) < 0)
        return -1;
    if (strlen(text) != len)
        return err_set(err, ERR_INVALID, "%s: %s: a disk itself, not the text that describes one",
                       session->endpoint, file);
    return vmware_descriptor_parse(text, file, ret, err);
}
