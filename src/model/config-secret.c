/* What is not in the config's file: secrets that it points to, and what the environment says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "model/config.h"
#include "model/text.h"

static int set_text(const char *what, const char *text, char **to, struct err *err);
static int set_secret(const char *what, const char *text, struct config_secret *to,
                      struct err *err);
static int resolve(struct config_secret *secret, const char *what, const char *credential,
                   config_getenv *getenv_like, struct err *err);
static int resolve_vcenter(struct config_vcenter *vcenter, config_getenv *getenv_like,
                           struct err *err);
static int read_file(const char *path, char **ret, struct err *err);

/* NULL when the variable is not set, or empty. */
static const char *
variable(config_getenv *getenv_like, const char *name)
{
    const char *value = getenv_like(name);
    return value && *value ? value : NULL;
}

static bool
secret_is_given(const struct config_secret *secret)
{
    return secret->value || secret->file || secret->env;
}

/* The vCenter that is meant when none is named; NULL: there is none, or it is not clear. */
static struct config_vcenter *
default_vcenter(struct config *config)
{
    if (config->has_vcenter)
        return &config->vcenter;
    return config->n_vcenters == 1 ? &config->vcenters[0] : NULL;
}

static int
apply_vcenter_env(struct config *config, config_getenv *getenv_like, struct err *err)
{
    const char *host = variable(getenv_like, "V2C_VCENTER_HOST");
    const char *user = variable(getenv_like, "V2C_VCENTER_USER");
    const char *password = variable(getenv_like, "V2C_VCENTER_PASSWORD");
    const char *fallback = variable(getenv_like, "VC_PASSWORD");
    if (host)
        config->has_vcenter = true;
    struct config_vcenter *vcenter = default_vcenter(config);
    if (!vcenter)
        return 0;
    if (set_text("V2C_VCENTER_HOST", host, &vcenter->host, err) < 0 ||
        set_text("V2C_VCENTER_USER", user, &vcenter->user, err) < 0 ||
        set_secret("V2C_VCENTER_PASSWORD", password, &vcenter->password, err) < 0)
        return -1;
    char endpoint[CONFIG_HOST_MAX];
    unsigned port;
    if (host && config_vcenter_endpoint(vcenter, endpoint, &port, err) < 0)
        return err_prefix(err, "V2C_VCENTER_HOST");
    if (secret_is_given(&vcenter->password))
        return 0;
    return set_secret("VC_PASSWORD", fallback, &vcenter->password, err);
}

int
config_apply_env(struct config *config, config_getenv *getenv_like, struct err *err)
{
    struct config_cloudstack *cloudstack = &config->cloudstack;
    if (apply_vcenter_env(config, getenv_like, err) < 0 ||
        set_text("V2C_CLOUDSTACK_ENDPOINT", variable(getenv_like, "V2C_CLOUDSTACK_ENDPOINT"),
                 &cloudstack->endpoint, err) < 0 ||
        set_secret("V2C_CLOUDSTACK_API_KEY", variable(getenv_like, "V2C_CLOUDSTACK_API_KEY"),
                   &cloudstack->api_key, err) < 0 ||
        set_secret("V2C_CLOUDSTACK_SECRET_KEY", variable(getenv_like, "V2C_CLOUDSTACK_SECRET_KEY"),
                   &cloudstack->secret_key, err) < 0)
        return -1;
    return 0;
}

/* A copy of text, when there is one, instead of what was there. what is the name of its origin. */
static int
set_text(const char *what, const char *text, char **to, struct err *err)
{
    if (!text)
        return 0;
    if (text_utf8_len(text) != strlen(text) || text_has_control(text))
        return err_set(err, ERR_INVALID, "%s: it is not UTF-8, or has control characters", what);
    char *copy = strdup(text);
    if (!copy)
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    free(*to);
    *to = copy;
    return 0;
}

static int
set_secret(const char *what, const char *text, struct config_secret *to, struct err *err)
{
    if (!text)
        return 0;
    if (strlen(text) > CONFIG_MAX_SECRET || text_utf8_len(text) != strlen(text))
        return err_set(err, ERR_INVALID, "%s: it is not UTF-8, or longer than %d bytes", what,
                       CONFIG_MAX_SECRET);
    char *copy = strdup(text);
    if (!copy)
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    secret_free(to->value);
    free(to->file);
    free(to->env);
    *to = (struct config_secret){ .value = copy };
    return 0;
}

int
config_resolve_secrets(struct config *config, config_getenv *getenv_like, struct err *err)
{
    struct config_cloudstack *cloudstack = &config->cloudstack;
    if (resolve_vcenter(&config->vcenter, getenv_like, err) < 0)
        return -1;
    for (size_t i = 0; i < config->n_vcenters; i++)
        if (resolve_vcenter(&config->vcenters[i], getenv_like, err) < 0)
            return -1;
    if (resolve(&cloudstack->api_key, "cloudstack.api_key", "cloudstack-api-key", getenv_like,
                err) < 0)
        return -1;
    return resolve(&cloudstack->secret_key, "cloudstack.secret_key", "cloudstack-secret-key",
                   getenv_like, err);
}

static int
resolve_vcenter(struct config_vcenter *vcenter, config_getenv *getenv_like, struct err *err)
{
    char what[512] = "vcenter.password", credential[512] = "vcenter-password";
    if (vcenter->key) {
        snprintf(what, sizeof what, "vcenters.%s.password", vcenter->key);
        snprintf(credential, sizeof credential, "vcenter-%s-password", vcenter->key);
    }
    return resolve(&vcenter->password, what, credential, getenv_like, err);
}

/* credential is the name of the file that systemd has put into its directory for us, perhaps. */
static int
resolve(struct config_secret *secret, const char *what, const char *credential,
        config_getenv *getenv_like, struct err *err)
{
    const char *dir = variable(getenv_like, "CREDENTIALS_DIRECTORY");
    auto_free char *path = NULL;
    auto_secret char *text = NULL;
    if (secret->value)
        return 0;
    if (secret->env) {
        const char *value = variable(getenv_like, secret->env);
        if (!value)
            return err_set(err, ERR_INVALID, "%s_env: the variable %s is not set", what,
                           secret->env);
        return set_secret(what, value, secret, err);
    }
    if (secret->file) {
        if (read_file(secret->file, &text, err) < 0)
            return err_prefix(err, "%s_file", what);
        return set_secret(what, text, secret, err);
    }
    if (!dir)
        return 0;
    if (asprintf(&path, "%s/%s", dir, credential) < 0)
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    if (access(path, F_OK) < 0)
        return 0;
    return read_file(path, &text, err) < 0 ? err_prefix(err, "%s", what)
                                           : set_secret(what, text, secret, err);
}

/* The first line of it. */
static int
read_file(const char *path, char **ret, struct err *err)
{
    char *text;
    size_t len;
    if (file_read(path, CONFIG_MAX_SECRET + 2, &text, &len, err) < 0)
        return -1;
    size_t line = strcspn(text, "\r\n");
    if (line == 0 || strlen(text) != len) {
        explicit_bzero(text, len);
        free(text);
        return err_set(err, ERR_INVALID, "%s: no password in its first line", path);
    }
    explicit_bzero(text + line, len - line);
    *ret = text;
    return 0;
}
