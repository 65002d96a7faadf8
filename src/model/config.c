#include "model/config.h"

#include <stdlib.h>
#include <string.h>

#include "model/config-fields.h"

static int check_secrets(const char *name, const struct yaml_node *map, struct err *err);
static int check_vcenters(const char *name, const struct yaml_node *root, struct err *err);
static int check_api(const char *name, const struct yaml_node *root, const struct config *config,
                     struct err *err);

int
config_read(const char *text, size_t len, const char *name, bool lenient, struct config *ret,
            struct err *err)
{
    auto_yaml struct yaml_node *root = NULL;
    auto_config struct config config = { 0 };
    const struct field_reading reading = { name, lenient, &config.warnings };
    if (yaml_tree_read(text, len, name, &root, err) < 0 ||
        field_read(config_fields, &reading, root, &config, err) < 0 ||
        check_vcenters(name, root, err) < 0 ||
        check_secrets(name, yaml_tree_get(root, "cloudstack"), err) < 0 ||
        check_api(name, root, &config, err) < 0)
        return -1;
    *ret = config;
    config = (struct config){ 0 };
    return 0;
}

/* A secret is given in one way, else it would be a matter of luck which one counts. */
static int
check_secrets(const char *name, const struct yaml_node *map, struct err *err)
{
    static const char *const ways[][3] = {
        { "password", "password_file", "password_env" },
        { "api_key", "api_key_file", "api_key_env" },
        { "secret_key", "secret_key_file", "secret_key_env" },
    };
    for (size_t i = 0; map && i < sizeof ways / sizeof ways[0]; i++) {
        const struct yaml_node *first = NULL;
        for (size_t k = 0; k < 3; k++) {
            const struct yaml_node *way = yaml_tree_get(map, ways[i][k]);
            if (!way || yaml_node_is_null(way) || way->text[0] == '\0')
                continue;
            if (first)
                return err_set(err, ERR_INVALID, "%s:%u: %s: '%s' is given as well: leave one out",
                               name, way->line, way->key, first->key);
            first = way;
        }
    }
    return 0;
}

static int
check_vcenters(const char *name, const struct yaml_node *root, struct err *err)
{
    if (check_secrets(name, yaml_tree_get(root, "vcenter"), err) < 0)
        return -1;
    const struct yaml_node *vcenters = yaml_tree_get(root, "vcenters");
    for (const struct yaml_node *entry = vcenters ? vcenters->first : NULL; entry;
         entry = entry->next) {
        const struct yaml_node *host = yaml_tree_get(entry, "host");
        if (!host || yaml_node_is_null(host) || host->text[0] == '\0')
            return err_set(err, ERR_INVALID, "%s:%u: vcenters.%s: host is missing", name,
                           entry->line, entry->key);
        if (check_secrets(name, entry, err) < 0)
            return -1;
    }
    return 0;
}

static int
check_api(const char *name, const struct yaml_node *root, const struct config *config,
          struct err *err)
{
    if (!config->api.tls_cert == !config->api.tls_key)
        return 0;
    return err_set(err, ERR_INVALID, "%s:%u: api: tls_cert and tls_key belong together", name,
                   yaml_tree_get(root, "api")->line);
}

void
config_free(struct config *config)
{
    field_free(config_fields, config);
    text_list_free(&config->warnings);
}

void
config_wipe(struct config *config)
{
    field_wipe(config_fields, config);
}

/* A buffer that grows leaves what it held in memory that is free; this one has its size from the
 * start. */
int
config_write_json(const struct config *config, struct buf *buf, struct err *err)
{
    auto_buf struct buf text = BUF_INIT(CONFIG_MAX_JSON);
    text.data = calloc(1, CONFIG_MAX_JSON + 1);
    if (!text.data)
        return err_set(err, ERR_UNAVAILABLE, "no memory for a config");
    text.cap = CONFIG_MAX_JSON + 1;
    int result = field_write(config_fields, config, FIELD_JSON, &text, err);
    if (result == 0)
        result = buf_add(buf, text.data, text.len, err);
    config_wipe_text(&text);
    return result;
}

void
config_wipe_text(struct buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->len);
    buf->len = 0;
}
