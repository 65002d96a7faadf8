#include "wire/known-hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "wire/url.h"

#define HEX_DIGITS 64
#define KEY_PREFIX "sha256:"

static int find_file(char path[PATH_MAX], struct err *err);
static int lock_file(const char *path, struct err *err);
static int look_up(const char *text, const char *endpoint, const char *path, char **ret_hex,
                   struct err *err);
static int remember(const char *path, const char *text, const char *endpoint, const char *hex,
                    struct err *err);

static void
hex_of_thumbprint(const char *thumbprint, char hex[HEX_DIGITS + 1])
{
    size_t n = 0;
    for (; *thumbprint && n < HEX_DIGITS; thumbprint++)
        if (*thumbprint != ':')
            hex[n++] = *thumbprint;
    hex[n] = '\0';
}

/* Under the lock: is it the one that is known, or the first? */
static int
judge(const char *path, const char *endpoint, const struct http_certificate *seen, bool *ret_new,
      struct err *err)
{
    auto_free char *text = NULL, *known = NULL;
    char hex[HEX_DIGITS + 1];
    struct err missing = ERR_INIT;
    size_t len = 0;
    if (file_read(path, KNOWN_HOSTS_MAX, &text, &len, &missing) < 0 &&
        missing.kind != ERR_NOT_FOUND) {
        *err = missing;
        return -1;
    }
    if (text && strlen(text) != len)
        return err_set(err, ERR_INVALID, "%s: is damaged: it has a zero byte in it", path);
    if (text && look_up(text, endpoint, path, &known, err) < 0)
        return -1;
    hex_of_thumbprint(seen->sha256, hex);
    if (known && strcasecmp(known, hex) != 0)
        return err_set(err, ERR_DENIED,
                       "%s: shows another certificate than when it was first seen: its SHA-256 "
                       "thumbprint is %s, %s knows %s; if the certificate was renewed, remove the "
                       "line of %s from that file or give the new thumbprint, else something "
                       "stands between here and the server",
                       endpoint, seen->sha256, path, known, endpoint);
    *ret_new = !known;
    return known ? 0 : remember(path, text ? text : "", endpoint, hex, err);
}

int
known_hosts_check(const char *host, unsigned port, const struct http_tls *tls,
                  struct known_host *ret, struct err *err)
{
    *ret = (struct known_host){ 0 };
    if (tls && (tls->thumbprint || tls->ca_file))
        return 0;
    struct http_certificate seen;
    if (http_peek_certificate(host, port, tls, &seen, err) < 0)
        return -1;
    snprintf(ret->sha1, sizeof ret->sha1, "%s", seen.sha1);
    snprintf(ret->sha256, sizeof ret->sha256, "%s", seen.sha256);
    if (seen.trusted)
        return 0;
    char path[PATH_MAX], endpoint[URL_ENDPOINT_MAX];
    url_endpoint(host, port, endpoint);
    for (char *c = endpoint; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
    if (find_file(path, err) < 0)
        return -1;
    auto_close int lock = lock_file(path, err);
    if (lock < 0 || judge(path, endpoint, &seen, &ret->is_new, err) < 0)
        return -1;
    ret->pinned = true;
    if (ret->is_new)
        log_warning("%s: its certificate is not signed by a CA that is known here (%s); it is "
                    "trusted from now on, and remembered in %s: compare its thumbprint with that "
                    "of the server: SHA-256 %s, SHA-1 %s",
                    endpoint, seen.why, path, seen.sha256, seen.sha1);
    return 0;
}

/* ---- the file ---- */

static int
make_dirs(const char *dir, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", dir);
    for (char *slash = path + 1;; slash++) {
        slash = strchr(slash, '/');
        if (slash)
            *slash = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return err_errno(err, errno, "%s: make the directory for known_hosts", path);
        if (!slash)
            return 0;
        *slash = '/';
    }
}

static int
find_file(char path[PATH_MAX], struct err *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char dir[PATH_MAX];
    int n;
    if (state && state[0] == '/')
        n = snprintf(dir, sizeof dir, "%s/vmferry", state);
    else if (home && home[0] == '/')
        n = snprintf(dir, sizeof dir, "%s/.local/state/vmferry", home);
    else
        return err_set(err, ERR_INVALID,
                       "known_hosts: neither HOME nor XDG_STATE_HOME says where to keep it; give "
                       "the server's thumbprint or CA instead");
    if (n < 0 || n >= (int)sizeof dir || n + 32 > PATH_MAX)
        return err_set(err, ERR_INVALID, "known_hosts: the path to it is too long");
    if (make_dirs(dir, err) < 0)
        return -1;
    if (snprintf(path, PATH_MAX, "%s/known_hosts", dir) >= PATH_MAX)
        return err_set(err, ERR_INVALID, "known_hosts: the path to it is too long");
    return 0;
}

/* The file itself is replaced, so the lock has one of its own. */
static int
lock_file(const char *path, struct err *err)
{
    char lock_path[PATH_MAX + 8];
    snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    auto_close int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, errno, "%s: open", lock_path);
    int r;
    do
        r = flock(fd, LOCK_EX);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return err_errno(err, errno, "%s: lock", lock_path);
    return TAKE_FD(fd);
}

static int
look_up(const char *text, const char *endpoint, const char *path, char **ret_hex, struct err *err)
{
    size_t endpoint_len = strlen(endpoint), prefix_len = strlen(KEY_PREFIX);
    unsigned number = 1;
    for (const char *line = text; *line; number++) {
        size_t len = strcspn(line, "\n");
        if (len > endpoint_len && strncasecmp(line, endpoint, endpoint_len) == 0 &&
            line[endpoint_len] == ' ') {
            const char *key = line + endpoint_len + 1;
            size_t key_len = len - endpoint_len - 1;
            size_t digits =
                key_len > prefix_len ? strspn(key + prefix_len, "0123456789abcdefABCDEF") : 0;
            if (key_len != prefix_len + HEX_DIGITS || digits != HEX_DIGITS ||
                strncmp(key, KEY_PREFIX, prefix_len) != 0)
                return err_set(err, ERR_INVALID,
                               "%s: line %u for %s is damaged; remove it to trust the server anew",
                               path, number, endpoint);
            *ret_hex = strndup(key + prefix_len, HEX_DIGITS);
            return *ret_hex ? 0 : err_errno(err, ENOMEM, "%s", path);
        }
        line += len + (line[len] == '\n');
    }
    return 0;
}

static int
remember(const char *path, const char *text, const char *endpoint, const char *hex, struct err *err)
{
    auto_buf struct buf longer = BUF_INIT(KNOWN_HOSTS_MAX);
    size_t len = strlen(text);
    bool broken_line = len > 0 && text[len - 1] != '\n';
    if (buf_printf(&longer, err, "%s%s%s " KEY_PREFIX "%s\n", text, broken_line ? "\n" : "",
                   endpoint, hex) < 0)
        return err_prefix(err, "%s", path);
    return file_write_atomic(path, longer.data, longer.len, 0600, err);
}
