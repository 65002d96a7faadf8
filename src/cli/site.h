/* The config as a command sees it: which file, read, and made ready to be handed to a vmferryd. */
#ifndef CLI_SITE_H
#define CLI_SITE_H

#include "cli/option.h"
#include "cli/output.h"
#include "model/config.h"
#include "wire/json.h"

/* The fields that options fill. */
struct site_args {
    const char *config, *control_dir;
    bool lenient;
};

/* Rows for a command's table of options; STRUCT has a `struct site_args site`. */
#define SITE_FIELD(STRUCT, name) (offsetof(STRUCT, site) + offsetof(struct site_args, name))
#define SITE_OPTIONS(STRUCT)                                                                       \
    { 0,                                                                                           \
      "config",                                                                                    \
      "FILE",                                                                                      \
      OPT_TEXT,                                                                                    \
      SITE_FIELD(STRUCT, config),                                                                  \
      "the config (default: config.yaml here or one folder up)" },                                 \
        { 0,                                                                                       \
          "control-dir",                                                                           \
          "DIR",                                                                                   \
          OPT_TEXT,                                                                                \
          SITE_FIELD(STRUCT, control_dir),                                                         \
          "instead of the config's migration.control_dir" },                                       \
    {                                                                                              \
        0, "lenient", NULL, OPT_BOOL, SITE_FIELD(STRUCT, lenient),                                 \
            "pass over keys in YAML that are not known, with a warning"                            \
    }

/* A file of YAML is at most this large. */
#define SITE_FILE_MAX ((size_t)1 << 20)

/* Read the config with the environment and the defaults over it; secrets are as they were written.
 * Without --config and without a config.yaml it is what the defaults make of nothing. With
 * --control-dir a file that cannot be read is a warning. Warnings go to out. *ret must be zero
 * before, and is the caller's to free. */
int site_read(const struct site_args *args, struct output *out, struct config *ret,
              struct err *err);

/* Read the secrets that it names, too, and write it all as the object that a vmferryd is started
 * with. The caller drops it soon. */
int site_secrets(struct config *config, struct err *err);
json_t *site_json(const struct config *config, struct err *err);

/* When nothing has given the password of a vCenter, ask for it at the terminal. After site_secrets.
 */
int site_ask_password(const struct config_vcenter *vcenter, struct err *err);

/* A warning each. */
void site_warn(struct output *out, const struct text_list *warnings);

#endif
