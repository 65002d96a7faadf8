#include "cli/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "cli/password.h"
#include "wire/url.h"

#define DEFAULT_PORT 443

/* What is known of it so far; strings are borrowed from the URL or the arguments. */
struct parts {
    const char *server, *user;
    unsigned port;
    const char *kind; /* "vcenter", "esxi" or NULL: it says itself */
    char *datacenter; /* owned */
};

static int parts_from_url(const struct endpoint_args *args, const struct url *url,
                          struct parts *parts, struct err *err);
static int pack(const struct endpoint_args *args, const struct parts *parts, json_t **ret,
                struct err *err);

bool
endpoint_is_url(const char *text)
{
    static const char *const schemes[] = { "vpx://", "esx://", "https://" };
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

int
endpoint_make(const struct endpoint_args *args, const char *text, json_t **ret_json,
              struct err *err)
{
    auto_url struct url url = { .port = 0 };
    auto_free char *made = NULL;
    struct parts parts = { .user = args->user };
    if (text && args->server)
        return err_set(err, ERR_INVALID, "--server %s: the URL names the server already",
                       args->server);
    if (!text && !args->server)
        return err_set(
            err, ERR_INVALID,
            "name the vCenter or ESXi: vpx://USER@VCENTER, esx://root@HOST, or --server");
    /* One grammar for both: "NAME:PORT" is the authority of a URL. */
    if (!text) {
        if (asprintf(&made, "https://%s", args->server) < 0) {
            made = NULL;
            return err_errno(err, ENOMEM, "--server");
        }
        text = made;
    }
    int r = url_parse(text, &url, err);
    if (r == 0)
        r = parts_from_url(args, &url, &parts, err);
    if (r == 0)
        r = pack(args, &parts, ret_json, err);
    free(parts.datacenter);
    return r;
}

static int
check_query(const struct url *url, struct err *err)
{
    for (const char *at = url->query; at && *at; at += *at == '&') {
        size_t len = strcspn(at, "&");
        /* It means "pin the certificate at first use" here, which is done in any case. */
        if (strncmp(at, "no_verify=", 10) != 0 && len)
            return err_set(err, ERR_INVALID, "%s://%s: '%.*s' in the query is not known",
                           url->scheme, url->host, (int)MIN(strcspn(at, "=&"), (size_t)40), at);
        at += len;
    }
    return 0;
}

static int
take_datacenter(const char *path, struct parts *parts, struct err *err)
{
    while (*path == '/')
        path++;
    size_t len = strlen(path);
    while (len && path[len - 1] == '/')
        len--;
    if (len == 0)
        return 0;
    return url_decode(path, len, &parts->datacenter, err);
}

static int
parts_from_url(const struct endpoint_args *args, const struct url *url, struct parts *parts,
               struct err *err)
{
    bool esx = strcmp(url->scheme, "esx") == 0, vpx = strcmp(url->scheme, "vpx") == 0;
    if (!esx && !vpx && strcmp(url->scheme, "https") != 0)
        return err_set(err, ERR_INVALID, "%s://%s: a vSphere is named vpx://, esx:// or https://",
                       url->scheme, url->host);
    if (check_query(url, err) < 0)
        return -1;
    parts->server = url->host;
    parts->port = url->port ? url->port : DEFAULT_PORT;
    parts->kind = esx ? "esxi" : vpx ? "vcenter" : NULL;
    if (url->has_user && args->user && strcmp(url->user, args->user) != 0)
        return err_set(err, ERR_INVALID, "--user %s: the URL names another user, %s", args->user,
                       url->user);
    if (url->has_user)
        parts->user = url->user;
    else if (!parts->user && esx)
        parts->user = "root";
    if (!parts->user || !*parts->user)
        return err_set(err, ERR_INVALID,
                       "%s: who logs in? Write %s://USER@%s, or --user; user@domain is written "
                       "user%%40domain in a URL",
                       url->host, url->scheme, url->host);
    if (args->datacenter) {
        parts->datacenter = strdup(args->datacenter);
        return parts->datacenter ? 0 : err_errno(err, ENOMEM, "--datacenter");
    }
    return esx || strcmp(url->scheme, "https") == 0 ? 0 : take_datacenter(url->path, parts, err);
}

static int
pack(const struct endpoint_args *args, const struct parts *p, json_t **ret, struct err *err)
{
    char password[PASSWORD_MAX];
    int r = args->password_file
                ? password_read(args->password_file, password, err)
                : password_ask(p->user, p->server, "--password-file", password, err);
    if (r < 0)
        return -1;
    json_t *json =
        json_pack("{s:s, s:i, s:s?, s:s?, s:s, s:s, s:s?, s:s?}", "server", p->server, "port",
                  (int)p->port, "face", p->kind, "datacenter", p->datacenter, "user", p->user,
                  "password", password, "thumbprint", args->thumbprint, "ca", args->ca);
    password_wipe(password);
    if (!json)
        return err_set(err, ERR_INVALID, "%s: a name or the password is not UTF-8", p->server);
    *ret = json;
    return 0;
}
