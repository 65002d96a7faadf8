#include "engine/agent-properties.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"

#define FILE_MAX ((size_t)1 << 20)
#define SPACE " \t\f"

static const char *read_line(const char *at, struct buf *line, struct err *err);
static int take_line(const char *line, struct agent_properties *ret, struct err *err);

int
agent_properties_read(const char *path, struct agent_properties *ret, struct err *err)
{
    auto_free char *text = NULL;
    *ret = (struct agent_properties){ 0 };
    if (!path)
        path = AGENT_PROPERTIES_PATH;
    if (access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (file_read(path, FILE_MAX, &text, NULL, err) < 0)
        return -1;
    if (agent_properties_parse(text, ret, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}

int
agent_properties_parse(const char *text, struct agent_properties *ret, struct err *err)
{
    auto_agent_properties struct agent_properties made = { .present = true };
    auto_buf struct buf line = BUF_INIT(FILE_MAX);
    *ret = (struct agent_properties){ 0 };
    while (*text) {
        text = read_line(text, &line, err);
        if (!text || (line.len && take_line(line.data, &made, err) < 0))
            return -1;
    }
    *ret = made;
    made = (struct agent_properties){ 0 };
    return 0;
}

void
agent_properties_free(struct agent_properties *p)
{
    free(p->vddk_lib_dir);
    free(p->vddk_transports);
    free(p->vddk_thumbprint);
    *p = (struct agent_properties){ 0 };
}

/* ---- lines ---- */

/* One logical line without the space before it; a comment is an empty one. Escapes stay. Returns
 * what comes after it. */
static const char *
read_line(const char *at, struct buf *line, struct err *err)
{
    bool more = true;
    line->len = 0;
    for (bool first = true; more && *at; first = false) {
        at += strspn(at, SPACE);
        size_t len = strcspn(at, "\r\n");
        bool comment = first && (*at == '#' || *at == '!');
        size_t slashes = 0;
        while (slashes < len && at[len - 1 - slashes] == '\\')
            slashes++;
        more = !comment && slashes % 2 == 1;
        if (!comment && buf_add(line, at, len - more, err) < 0)
            return NULL;
        at += len;
        at += *at == '\r';
        at += *at == '\n';
    }
    return at;
}

/* ---- a key and its value ---- */

static int
add_unicode(struct buf *out, const char *digits, struct err *err)
{
    unsigned code = 0;
    char utf8[3];
    if (strspn(digits, "0123456789abcdefABCDEF") < 4 || sscanf(digits, "%4x", &code) != 1 ||
        code == 0 || (code >= 0xd800 && code < 0xe000))
        return err_set(err, ERR_INVALID, "'\\u%.4s' is no character", digits);
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
    if (n == 1) {
        utf8[0] = (char)code;
    } else {
        utf8[0] = (char)((n == 2 ? 0xc0 : 0xe0) | (code >> (6 * (n - 1))));
        for (size_t i = 1; i < n; i++)
            utf8[i] = (char)(0x80 | ((code >> (6 * (n - 1 - i))) & 0x3f));
    }
    return buf_add(out, utf8, n, err);
}

/* The unescaped text from *at up to an unescaped character of `ends`. */
static int
unescape(const char **at, const char *ends, struct buf *out, struct err *err)
{
    const char *c = *at;
    out->len = 0;
    for (; *c && !strchr(ends, *c); c++) {
        char plain = *c;
        if (*c == '\\' && c[1] == 'u') {
            if (add_unicode(out, c + 2, err) < 0)
                return -1;
            c += 5;
            continue;
        }
        if (*c == '\\' && c[1]) {
            c++;
            plain = *c == 't' ? '\t' : *c == 'n' ? '\n' : *c == 'r' ? '\r' : *c == 'f' ? '\f' : *c;
        }
        if (buf_add(out, &plain, 1, err) < 0)
            return -1;
    }
    *at = c;
    return 0;
}

static int
keep_text(char **field, const char *value, struct err *err)
{
    free(*field);
    *field = *value ? strdup(value) : NULL;
    return *value && !*field ? err_errno(err, ENOMEM, "a value") : 0;
}

static int
take_line(const char *line, struct agent_properties *ret, struct err *err)
{
    auto_buf struct buf key = BUF_INIT(FILE_MAX);
    auto_buf struct buf value = BUF_INIT(FILE_MAX);
    if (unescape(&line, "=:" SPACE, &key, err) < 0 || key.len == 0)
        return key.len == 0 ? 0 : -1;
    char **field = strcmp(key.data, "vddk.lib.dir") == 0      ? &ret->vddk_lib_dir
                   : strcmp(key.data, "vddk.transports") == 0 ? &ret->vddk_transports
                   : strcmp(key.data, "vddk.thumbprint") == 0 ? &ret->vddk_thumbprint
                                                              : NULL;
    bool verbose = strcmp(key.data, "virtv2v.verbose.enabled") == 0;
    if (!field && !verbose)
        return 0;
    line += strspn(line, SPACE);
    line += *line == '=' || *line == ':';
    line += strspn(line, SPACE);
    if (unescape(&line, "", &value, err) < 0)
        return err_prefix(err, "%s", key.data);
    while (value.len && strchr(SPACE, value.data[value.len - 1]))
        value.data[--value.len] = '\0';
    if (value.len > AGENT_PROPERTY_MAX)
        return err_set(err, ERR_INVALID, "%s: longer than %d bytes", key.data, AGENT_PROPERTY_MAX);
    if (verbose) {
        ret->verbose_known = true;
        ret->verbose = value.len && strcasecmp(value.data, "true") == 0;
        return 0;
    }
    return keep_text(field, value.len ? value.data : "", err);
}
