/* Which vCenter is meant, and where it is. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/config.h"

static int list_names(const struct config *config, struct buf *buf, struct err *err);
static bool scan_port(const char *text, unsigned *ret);

const struct config_vcenter *
config_vcenter(const struct config *config, const char *name, struct err *err)
{
    for (size_t i = 0; name && i < config->n_vcenters; i++)
        if (strcmp(config->vcenters[i].key, name) == 0)
            return &config->vcenters[i];
    if (!name && config->has_vcenter && config->vcenter.host)
        return &config->vcenter;
    if (!name && config->n_vcenters == 1)
        return &config->vcenters[0];

    auto_buf struct buf names = BUF_INIT(ERR_TEXT_MAX);
    if (list_names(config, &names, err) < 0)
        return NULL;
    if (name && config->n_vcenters == 0)
        err_set(err, ERR_INVALID,
                "source.vcenter: '%s': the config has no 'vcenters', in which names are given",
                name);
    else if (name)
        err_set(err, ERR_INVALID, "source.vcenter: '%s': the config has only %s", name, names.data);
    else if (config->n_vcenters == 0)
        err_set(err, ERR_INVALID,
                "the config names no vCenter: write vcenter.host, or set V2C_VCENTER_HOST");
    else
        err_set(err, ERR_INVALID,
                "the config has several vCenters: write one of %s as source.vcenter", names.data);
    return NULL;
}

/* As many as there is room for in an error. */
static int
list_names(const struct config *config, struct buf *buf, struct err *err)
{
    for (size_t i = 0; i < config->n_vcenters; i++) {
        if (buf->len > 500)
            return buf_add_str(buf, " ...", err);
        if (buf_printf(buf, err, "%s'%.80s'", i ? ", " : "", config->vcenters[i].key) < 0)
            return -1;
    }
    return 0;
}

int
config_vcenter_endpoint(const struct config_vcenter *vcenter, char ret_host[CONFIG_HOST_MAX],
                        unsigned *ret_port, struct err *err)
{
    const char *at = vcenter->host ? vcenter->host : "";
    if (strncasecmp(at, "https://", 8) == 0)
        at += 8;
    bool brackets = *at == '[';
    at += brackets;
    size_t len = strcspn(at, brackets ? "]" : ":/");
    const char *rest = at + len + (brackets && at[len] == ']');
    unsigned port = CONFIG_HTTPS_PORT;
    bool good = len > 0 && len < CONFIG_HOST_MAX && (!brackets || at[len] == ']');
    for (size_t i = 0; good && i < len; i++)
        good = isalnum((unsigned char)at[i]) || strchr(brackets ? ":.%" : "-._", at[i]);
    if (good && *rest == ':') {
        size_t digits = strspn(rest + 1, "0123456789");
        good = scan_port(rest + 1, &port);
        rest += 1 + digits;
    }
    if (!good || (*rest && strcmp(rest, "/") != 0 && strcmp(rest, "/sdk") != 0 &&
                  strcmp(rest, "/sdk/") != 0))
        return err_set(err, ERR_INVALID,
                       "'%.200s' is no server: write HOST, HOST:PORT or https://HOST",
                       vcenter->host ? vcenter->host : "");
    for (size_t i = 0; i < len; i++)
        ret_host[i] = (char)tolower((unsigned char)at[i]);
    ret_host[len] = '\0';
    *ret_port = port;
    return 0;
}

static bool
scan_port(const char *text, unsigned *ret)
{
    unsigned long port = strtoul(text, NULL, 10);
    if (!isdigit((unsigned char)*text) || port == 0 || port > 65535)
        return false;
    *ret = (unsigned)port;
    return true;
}
