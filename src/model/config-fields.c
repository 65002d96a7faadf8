#include "model/config-fields.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "model/config.h"
#include "model/spec-fields.h"

static int check_host(char *text, struct err *err);
static int check_thumbprint(char *text, struct err *err);
static int check_variable(char *text, struct err *err);
static int check_name(char *text, struct err *err);

#define AT(member) .offset = offsetof(struct HERE, member)
#define SECONDS .low = 0, .high = SPEC_MAX_SECONDS
#define PARALLEL .low = 0, .high = SPEC_MAX_PARALLEL
#define DISKS .low = 0, .high = SPEC_MAX_PARALLEL_DISKS
#define END                                                                                        \
    {                                                                                              \
        .key = NULL                                                                                \
    }

/* The three ways to give a secret, beside one another in the map of whom it is for. */
#define SECRET(key, member)                                                                        \
    { key, FIELD_SECRET, AT(member.value) },                                                       \
        { key "_file", FIELD_TEXT, AT(member.file), .check = spec_check_absolute },                \
    {                                                                                              \
        key "_env", FIELD_TEXT, AT(member.env), .check = check_variable                            \
    }

#define HERE config_tls
static const struct field tls_fields[] = {
    { "ca", FIELD_TEXT, AT(ca), .check = spec_check_absolute },
    { "thumbprint", FIELD_TEXT, AT(thumbprint), .check = check_thumbprint },
    { "verify", FIELD_TRISTATE, AT(verify), .fallback = "true" },
    END,
};
#undef HERE

#define HERE config_vcenter
static const struct field vcenter_fields[] = {
    { "host", FIELD_TEXT, AT(host), .check = check_host },
    { "user", FIELD_TEXT, AT(user) },
    SECRET("password", password),
    { "nfc_port", FIELD_INT, AT(nfc_port), .low = 1, .high = 65535, .fallback = "902" },
    { "tls", FIELD_OBJECT, AT(tls), .fields = tls_fields },
    END,
};
#undef HERE

#define HERE config_migration
static const struct field migration_fields[] = {
    { "vddk_path", FIELD_TEXT, AT(vddk_path), .check = spec_check_absolute },
    { "control_dir", FIELD_TEXT, AT(control_dir), .check = spec_check_absolute },
    { "specs_dir", FIELD_TEXT, AT(specs_dir), .check = spec_check_absolute },
    { "workdir", FIELD_TEXT, AT(workdir), .check = spec_check_absolute },
    { "snapshot_quiesce", FIELD_CHOICE, AT(snapshot_quiesce), .choices = spec_quiesce_names,
      .fallback = "auto" },
    { "shutdown_mode", FIELD_CHOICE, AT(shutdown_mode), .choices = spec_shutdown_names,
      .fallback = "auto" },
    { "finalize_settle_seconds", FIELD_INT, AT(finalize_settle_s), SECONDS },
    { "parallel_disks", FIELD_INT, AT(parallel_disks), DISKS, .fallback = "4" },
    { "parallel_vms", FIELD_INT, AT(parallel_vms), PARALLEL, .fallback = "3" },
    END,
};
#undef HERE

#define HERE config_cloudstack
static const struct field cloudstack_fields[] = {
    { "endpoint", FIELD_TEXT, AT(endpoint) },
    SECRET("api_key", api_key),
    SECRET("secret_key", secret_key),
    { "timeout_seconds", FIELD_INT, AT(timeout_s), .low = 0, .high = 3600 },
    { "tls", FIELD_OBJECT, AT(tls), .fields = tls_fields },
    END,
};
#undef HERE

#define HERE config_virt
static const struct field virt_fields[] = {
    { "run_virt_v2v", FIELD_TRISTATE, AT(run_virt_v2v) },
    { "virtio_iso", FIELD_TEXT, AT(virtio_iso), .check = spec_check_absolute },
    END,
};
#undef HERE

#define HERE config_api
static const struct field api_fields[] = {
    { "listen", FIELD_TEXT, AT(listen) },
    { "token_file", FIELD_TEXT, AT(token_file), .check = spec_check_absolute },
    { "tls_cert", FIELD_TEXT, AT(tls_cert), .check = spec_check_absolute },
    { "tls_key", FIELD_TEXT, AT(tls_key), .check = spec_check_absolute },
    END,
};
#undef HERE

#define HERE config_limits
static const struct field limits_fields[] = {
    { "disks_per_esxi", FIELD_INT, AT(disks_per_esxi), PARALLEL, .fallback = "8" },
    { "bandwidth", FIELD_SIZE, AT(bandwidth_bytes_s), .low = SPEC_MIN_BANDWIDTH,
      .high = SPEC_MAX_BANDWIDTH },
    END,
};
#undef HERE

#define HERE config
const struct field config_fields[] = {
    { "vcenter", FIELD_OBJECT, AT(vcenter), .fields = vcenter_fields, .has_flag = true,
      .flag = offsetof(struct HERE, has_vcenter) },
    { "vcenters", FIELD_OBJECTS, AT(vcenters), .high = CONFIG_MAX_VCENTERS,
      .fields = vcenter_fields, .item_size = sizeof(struct config_vcenter),
      .count = offsetof(struct HERE, n_vcenters), .check = check_name },
    { "migration", FIELD_OBJECT, AT(migration), .fields = migration_fields },
    { "cloudstack", FIELD_OBJECT, AT(cloudstack), .fields = cloudstack_fields },
    { "cloudstack_defaults", FIELD_OBJECT, AT(cloudstack_defaults),
      .fields = spec_cloudstack_ids_fields },
    { "virt", FIELD_OBJECT, AT(virt), .fields = virt_fields },
    { "api", FIELD_OBJECT, AT(api), .fields = api_fields },
    { "store", FIELD_TEXT, AT(store) },
    { "limits", FIELD_OBJECT, AT(limits), .fields = limits_fields },
    END,
};
#undef HERE

static int
check_host(char *text, struct err *err)
{
    char host[CONFIG_HOST_MAX];
    unsigned port;
    const struct config_vcenter vcenter = { .host = text };
    return config_vcenter_endpoint(&vcenter, host, &port, err);
}

/* 20 or 32 bytes in hex; a colon may stand between two of them. */
static int
check_thumbprint(char *text, struct err *err)
{
    size_t digits = 0;
    for (const char *c = text; *c; c++) {
        if (isxdigit((unsigned char)*c))
            digits++;
        else if (*c != ':' || digits % 2 != 0)
            digits = 1000;
    }
    if (digits != 40 && digits != 64)
        return err_set(err, ERR_INVALID,
                       "'%.100s' is no SHA-1 or SHA-256 thumbprint: 40 or 64 hex digits", text);
    return 0;
}

static int
check_variable(char *text, struct err *err)
{
    for (const char *c = text; *c; c++)
        if (!isalpha((unsigned char)*c) && *c != '_' && (!isdigit((unsigned char)*c) || c == text))
            return err_set(err, ERR_INVALID, "this cannot be the name of a variable");
    return 0;
}

/* It becomes a part of the names of credentials, which are files. */
static int
check_name(char *text, struct err *err)
{
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && (!strchr("._-", *c) || c == text))
            return err_set(err, ERR_INVALID,
                           "'%.60s' is no name for a vCenter: letters, digits, '.', '_' and '-'",
                           text);
    return 0;
}
