/* The config: servers and their secrets, defaults, limits. The format is vmferry-config(5); the
 * tables of config-fields.c drive reading and writing.
 *
 * As in a spec, what was not given is zero. The order of things for a process that is started:
 * config_read, config_apply_env, config_resolve_secrets, config_fill_defaults; what it then hands
 * to another (config_write_json) needs config_read alone. Secrets are wiped when they are freed.
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "model/spec.h"
#include "model/textlist.h"

#define CONFIG_MAX_VCENTERS 64
#define CONFIG_MAX_SECRET 4096 /* bytes of a password */
#define CONFIG_MAX_JSON ((size_t)1 << 20)
#define CONFIG_CONTROL_DIR "/var/lib/vm-migrator"
#define CONFIG_STORE_NAME "vmferry.db" /* in control_dir, where `store:` is not given */

struct config_tls {
    char *ca;             /* PEM file; NULL: the system's */
    char *thumbprint;     /* SHA-1 or SHA-256, hex digits with or without colons */
    enum tristate verify; /* no: do not ask the CAs, keep the certificate of the first use */
};

/* A secret by one of the ways to give it; after config_resolve_secrets only `value` is there. */
struct config_secret {
    char *value; /* wiped when freed */
    char *file;  /* its first line */
    char *env;   /* the name of a variable */
};

struct config_vcenter {
    char *key;  /* its name under `vcenters:`; NULL: the one of `vcenter:` */
    char *host; /* as written: HOST, HOST:PORT or a URL; see config_vcenter_endpoint */
    char *user;
    struct config_secret password;
    int64_t nfc_port; /* of its hosts, for VDDK; filled: >= 1 */
    struct config_tls tls;
};

struct config_migration {
    char *vddk_path;
    char *control_dir; /* filled: never NULL */
    char *specs_dir;   /* filled: CONTROL_DIR/specs */
    char *workdir;
    enum spec_quiesce snapshot_quiesce;
    enum spec_shutdown shutdown_mode;
    int64_t finalize_settle_s; /* 0: by the guest */
    int64_t parallel_disks;    /* filled: >= 1 */
    int64_t parallel_vms;      /* filled: >= 1 */
};

struct config_cloudstack {
    char *endpoint; /* filled: a whole URL, "https://host:8080/client/api" */
    struct config_secret api_key, secret_key;
    int64_t timeout_s; /* 0: the caller's default */
    struct config_tls tls;
};

struct config_virt {
    enum tristate run_virt_v2v;
    char *virtio_iso; /* ISO or directory; NULL: where it usually lies */
};

struct config_api {
    char *listen; /* "127.0.0.1:8000", ":8000", "/run/vmferry.sock"; NULL: the caller's default */
    char *token_file, *tls_cert, *tls_key;
};

struct config_limits {
    int64_t disks_per_esxi;     /* filled: >= 1; over all migrations */
    uint64_t bandwidth_bytes_s; /* over all migrations; 0: no limit */
};

struct config {
    bool has_vcenter;              /* `vcenter:` is there, or the environment names one */
    struct config_vcenter vcenter; /* of `vcenter:`, as v2c-engine has it */
    struct config_vcenter *vcenters;
    size_t n_vcenters; /* of `vcenters:` */
    struct config_migration migration;
    struct config_cloudstack cloudstack;
    struct spec_cloudstack_ids cloudstack_defaults;
    struct config_virt virt;
    struct config_api api;
    char *store; /* path of the database; filled: never NULL */
    struct config_limits limits;
    struct text_list warnings; /* lenient: what was passed over */
};

/* YAML, or JSON. name is for errors, the file's. An empty text is an empty config. ERR_INVALID
 * "NAME:LINE: ..." names the key. lenient: a key that is not known is a warning. On success *ret is
 * the caller's to free; it must be zero before. */
int config_read(const char *text, size_t len, const char *name, bool lenient, struct config *ret,
                struct err *err);

void config_free(struct config *config);
#define auto_config AUTO(config_free)

/* Append one JSON object with all secrets, for a descriptor between our processes and for nothing
 * else. buf should be empty, and is the caller's to wipe (config_wipe_text). */
int config_write_json(const struct config *config, struct buf *buf, struct err *err);
void config_wipe_text(struct buf *buf);

/* Overwrite and drop the secrets; all else stays. */
void config_wipe(struct config *config);

/* What v2c-engine takes from the environment: V2C_VCENTER_HOST, _USER, _PASSWORD and
 * V2C_CLOUDSTACK_ENDPOINT, _API_KEY, _SECRET_KEY go over the config, VC_PASSWORD is taken when
 * nothing else gives the default vCenter's password. getenv_like is getenv, or a test's. */
typedef char *config_getenv(const char *name);
int config_apply_env(struct config *config, config_getenv *getenv_like, struct err *err);

/* Read what `*_file` and `*_env` name, and, for what is then missing, the systemd credentials
 * vcenter-password, vcenter-NAME-password, cloudstack-api-key and cloudstack-secret-key in
 * $CREDENTIALS_DIRECTORY. A secret that nobody gives is no error here. ERR_NOT_FOUND, ERR_DENIED:
 * the file; ERR_INVALID: it is empty or too long, or the variable is not set. */
int config_resolve_secrets(struct config *config, config_getenv *getenv_like, struct err *err);

/* The built-in defaults for all that is still missing. */
int config_fill_defaults(struct config *config, struct err *err);

/* The vCenter with that name or, with NULL, the one of `vcenter:`, or the only one of `vcenters:`.
 * Borrowed. NULL with ERR_INVALID: there is none, or there are several; the text has their names.
 */
const struct config_vcenter *config_vcenter(const struct config *config, const char *name,
                                            struct err *err);

/* The host and port of what `host:` says: HOST, HOST:PORT, [IPV6]:PORT, https://HOST[:PORT][/sdk].
 * The host is in lower case, an IPv6 address without brackets; port 443 when none is given. */
#define CONFIG_HOST_MAX 256
#define CONFIG_HTTPS_PORT 443
int config_vcenter_endpoint(const struct config_vcenter *vcenter, char ret_host[CONFIG_HOST_MAX],
                            unsigned *ret_port, struct err *err);

#endif
