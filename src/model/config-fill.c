/* The built-in defaults of a config. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/config-fields.h"
#include "model/config.h"

static int normalise_endpoint(char **endpoint, struct err *err);
static int default_path(const char *dir, const char *name, char **path, struct err *err);

int
config_fill_defaults(struct config *config, struct err *err)
{
    struct config_migration *migration = &config->migration;
    if (field_fill(config_fields, config, err) < 0)
        return -1;
    if (default_path(CONFIG_CONTROL_DIR, NULL, &migration->control_dir, err) < 0 ||
        default_path(migration->control_dir, "specs", &migration->specs_dir, err) < 0 ||
        default_path(migration->control_dir, CONFIG_STORE_NAME, &config->store, err) < 0)
        return -1;
    return config->cloudstack.endpoint ? normalise_endpoint(&config->cloudstack.endpoint, err) : 0;
}

/* Set *path to dir/name, or to dir, when nothing is there. */
static int
default_path(const char *dir, const char *name, char **path, struct err *err)
{
    if (*path)
        return 0;
    if (asprintf(path, "%s%s%s", dir, name ? "/" : "", name ? name : "") < 0) {
        *path = NULL;
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    }
    return 0;
}

/* As v2c-engine does it: a host, a host with a port, or a URL with more or less of the path
 * becomes "http://HOST/client/api"; a query is dropped. */
static int
normalise_endpoint(char **endpoint, struct err *err)
{
    const char *text = *endpoint, *scheme = strstr(text, "://") ? "" : "http://";
    const char *host = *scheme ? text : strstr(text, "://") + 3;
    size_t host_len = strcspn(host, "/?#");
    const char *path = host + host_len;
    size_t path_len = strcspn(path, "?#");
    for (; path_len > 0 && *path == '/'; path_len--)
        path++;
    while (path_len > 0 && path[path_len - 1] == '/')
        path_len--;

    char *whole = NULL;
    int prefix_len = (int)(host + host_len - text), len = (int)path_len;
    int result;
    if (path_len > 10 && strncmp(path + path_len - 11, "/client/api", 11) == 0)
        return 0;
    if (path_len == 0 || (path_len == 6 && strncmp(path, "client", 6) == 0) ||
        (path_len == 10 && strncmp(path, "client/api", 10) == 0))
        result = asprintf(&whole, "%s%.*s/client/api", scheme, prefix_len, text);
    else if (path_len == 3 && strncmp(path, "api", 3) == 0)
        result = asprintf(&whole, "%s%.*s/api", scheme, prefix_len, text);
    else
        result = asprintf(&whole, "%s%.*s/%.*s/client/api", scheme, prefix_len, text, len, path);
    if (result < 0)
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    free(*endpoint);
    *endpoint = whole;
    return 0;
}
