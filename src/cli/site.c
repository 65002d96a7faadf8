#include "cli/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/password.h"

static const char *find_config(const struct site_args *args);
static int read_file(const char *path, const struct site_args *args, struct output *out,
                     struct config *ret, struct err *err);

int
site_read(const struct site_args *args, struct output *out, struct config *ret, struct err *err)
{
    auto_config struct config config = { 0 };
    const char *path = find_config(args);
    if (path && read_file(path, args, out, &config, err) < 0) {
        if (!args->control_dir)
            return -1;
        output_log(out, LOG_LEVEL_WARNING, err->text);
    }
    if (config_apply_env(&config, getenv, err) < 0)
        return -1;
    if (args->control_dir) {
        char *dir = realpath(args->control_dir, NULL);
        if (!dir)
            return err_errno(err, errno, "--control-dir %s", args->control_dir);
        free(config.migration.control_dir);
        config.migration.control_dir = dir;
    }
    if (config_fill_defaults(&config, err) < 0)
        return -1;
    *ret = config;
    config = (struct config){ 0 };
    return 0;
}

/* NULL: none was named, and none is in its usual places. */
static const char *
find_config(const struct site_args *args)
{
    static const char *const usual[] = { "config.yaml", "../config.yaml", NULL };
    if (args->config)
        return args->config;
    for (const char *const *path = usual; *path; path++)
        if (access(*path, F_OK) == 0)
            return *path;
    return NULL;
}

static int
read_file(const char *path, const struct site_args *args, struct output *out, struct config *ret,
          struct err *err)
{
    auto_secret char *text = NULL;
    size_t len = 0;
    if (file_read(path, SITE_FILE_MAX, &text, &len, err) < 0 ||
        config_read(text, len, path, args->lenient, ret, err) < 0)
        return -1;
    site_warn(out, &ret->warnings);
    return 0;
}

void
site_warn(struct output *out, const struct text_list *warnings)
{
    for (size_t i = 0; i < warnings->n; i++)
        output_log(out, LOG_LEVEL_WARNING, warnings->items[i]);
}

int
site_secrets(struct config *config, struct err *err)
{
    prctl(PR_SET_DUMPABLE, 0); /* passwords are in memory from here on: no core dump, no ptrace */
    return config_resolve_secrets(config, getenv, err);
}

int
site_ask_password(const struct config_vcenter *vcenter, struct err *err)
{
    char host[CONFIG_HOST_MAX], password[PASSWORD_MAX];
    unsigned port;
    struct config_secret *secret = (struct config_secret *)(uintptr_t)&vcenter->password;
    if (secret->value)
        return 0;
    if (config_vcenter_endpoint(vcenter, host, &port, err) < 0 ||
        password_ask(vcenter->user ? vcenter->user : "?", host,
                     "password_file in the config, or $VC_PASSWORD", password, err) < 0)
        return -1;
    secret->value = strdup(password);
    password_wipe(password);
    return secret->value ? 0 : err_errno(err, ENOMEM, "the password");
}

json_t *
site_json(const struct config *config, struct err *err)
{
    struct buf text = BUF_INIT(SITE_FILE_MAX);
    json_t *json = NULL;
    if (config_write_json(config, &text, err) == 0)
        json = json_parse_object(text.data, text.len, err);
    config_wipe_text(&text);
    buf_free(&text);
    return json;
}
