/* A spec: which machine goes where, and how. The format is vmferry-spec(5); the tables of
 * spec-fields.c drive reading and writing.
 *
 * What was not given is zero: NULL, 0, TRISTATE_UNSET, ..._UNSET. spec_merge fills in what the
 * command line, the config and the built-in defaults say. Strings are owned by the struct, UTF-8
 * without control characters, never empty.
 */
#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "model/field.h"
#include "model/textlist.h"

struct config;

enum spec_transport {
    SPEC_TRANSPORT_UNSET,
    SPEC_TRANSPORT_AUTO,
    SPEC_TRANSPORT_VDDK,
    SPEC_TRANSPORT_HTTPS,
    SPEC_TRANSPORT_EXPORT,
    SPEC_TRANSPORT_SSH,
};
enum spec_mode { SPEC_MODE_UNSET, SPEC_MODE_WARM, SPEC_MODE_COLD };
enum spec_quiesce {
    SPEC_QUIESCE_UNSET,
    SPEC_QUIESCE_AUTO,
    SPEC_QUIESCE_TRUE,
    SPEC_QUIESCE_FALSE,
};
enum spec_shutdown {
    SPEC_SHUTDOWN_UNSET,
    SPEC_SHUTDOWN_AUTO,
    SPEC_SHUTDOWN_FORCE,
    SPEC_SHUTDOWN_MANUAL,
};
enum spec_verify {
    SPEC_VERIFY_UNSET,
    SPEC_VERIFY_NONE,
    SPEC_VERIFY_CHANGED,
    SPEC_VERIFY_SAMPLE,
    SPEC_VERIFY_FULL,
};
enum spec_ip { SPEC_IP_UNSET, SPEC_IP_AUTO, SPEC_IP_KEEP };
enum spec_run_strategy {
    SPEC_RUN_UNSET,
    SPEC_RUN_ALWAYS,
    SPEC_RUN_RERUN_ON_FAILURE,
    SPEC_RUN_MANUAL,
    SPEC_RUN_HALTED,
    SPEC_RUN_ONCE,
};
enum spec_target_kind {
    SPEC_TARGET_UNSET,
    SPEC_TARGET_CLOUDSTACK,
    SPEC_TARGET_KUBEVIRT,
    SPEC_TARGET_LIBVIRT,
    SPEC_TARGET_FILES,
};

#define SPEC_MAX_SPECS 4096  /* under vms: */
#define SPEC_MAX_DISKS 256   /* under disks: */
#define SPEC_MAX_NICS 64     /* under nic_mappings: */
#define SPEC_MAX_STRINGS 256 /* in a list of strings or a map of networks */
#define SPEC_MAX_KEYS 32     /* of encrypted disks; as many as guest/convert takes */
#define SPEC_MAX_PARALLEL_DISKS 64
#define SPEC_MAX_PARALLEL 256 /* of what else is counted so */
#define SPEC_MAX_SECONDS (INT64_C(366) * 86400)

/* At least one is given. The first of moref, uuid, path, name that is there finds the machine. */
struct spec_vm {
    char *name;  /* or an inventory path, as v2c-engine takes it */
    char *moref; /* "vm-123" */
    char *uuid;  /* the instance UUID, 36 characters, lower case */
    char *path;  /* "/DC0/vm/prod/web01" */
};

struct spec_source {
    enum spec_transport transport; /* merged: never unset */
    char *vcenter;                 /* the name of a vCenter of the config; NULL: its default */
};

struct spec_migration {
    enum spec_mode mode;               /* merged: never unset */
    int64_t delta_interval_s;          /* merged: >= 1 */
    int64_t finalize_at;               /* unix seconds; 0: none */
    int64_t finalize_delta_interval_s; /* merged: >= 1 */
    int64_t finalize_window_s;         /* merged: >= 1 */
    int64_t finalize_settle_s;         /* 0, merged too: 30 for a Windows, 15 for all else */
    int64_t readers;                   /* merged: >= 1; requests in flight per disk */
    int64_t parallel_disks;            /* merged: >= 1 */
    enum tristate run_virt_v2v;        /* merged: the same as conversion.run_virt_v2v */
    enum spec_quiesce snapshot_quiesce;
    enum spec_shutdown shutdown_mode;
    enum tristate start_vm_after_import;
    enum spec_verify verify;
    uint64_t bandwidth_bytes_s; /* 0: no limit */
    int64_t max_downtime_s;     /* cut over when the forecast is below it; 0: only when told */
    int64_t max_rounds;         /* finalize after so many delta rounds; 0: only when told */
    enum tristate power_on_after_failure;
};

/* An entry of target.cloudstack.nic_mappings. */
struct spec_nic {
    char *key; /* free text; by convention the device key, "4000" */
    char *networkid;
    char *source_label;
    int64_t source_index;
    char *source_network, *source_mac, *source_device_key;
};

/* What spec and config (cloudstack_defaults) have in common. All free text of CloudStack's. */
struct spec_cloudstack_ids {
    char *zoneid, *clusterid, *storageid, *networkid, *serviceofferingid, *diskofferingid;
    char *ostypeid, *boottype, *bootmode, *rootdiskcontroller, *nicadapter;
};

struct spec_cloudstack {
    struct spec_cloudstack_ids ids; /* merged: zoneid ... serviceofferingid are there */
    struct spec_nic *nics;
    size_t n_nics;
    char *account, *domainid, *projectid;
    enum tristate preserve_mac;
    enum spec_ip ip;
};

struct spec_kubevirt {
    char *namespace, *kubeconfig, *storage_class;
    struct text_map network_map; /* the source's network -> the target's */
    enum spec_run_strategy run_strategy;
};

struct spec_libvirt {
    char *uri, *pool;
    struct text_map network_map;
};

struct spec_files {
    char *directory; /* absolute */
};

/* Exactly one, or none: then the config's CloudStack is meant, and spec_merge says so. */
struct spec_target {
    bool has_cloudstack, has_kubevirt, has_libvirt, has_files;
    struct spec_cloudstack cloudstack;
    struct spec_kubevirt kubevirt;
    struct spec_libvirt libvirt;
    struct spec_files files;
};

struct spec_conversion {
    enum tristate run_virt_v2v;  /* merged: never unset */
    char *virtio_win;            /* ISO or directory; NULL, merged too: where it usually lies */
    struct text_list keys;       /* as virt-v2v's --key, but no secret in them: a spec is stored */
    struct text_list first_boot; /* scripts, absolute paths */
};

/* An entry of disks. */
struct spec_disk {
    char *key; /* as written: "scsi0:1", or v2c-engine's unit number "1"; who knows the machine's
                  disks resolves it */
    char *storageid, *diskofferingid;
};

struct spec {
    unsigned line; /* where it begins in its file; 0: unknown */
    struct spec_vm vm;
    struct spec_source source;
    struct spec_migration migration;
    struct spec_target target;
    struct spec_conversion conversion;
    struct spec_disk *disks;
    size_t n_disks;
};

struct spec_list {
    struct spec *items;
    size_t n;
    struct text_list warnings; /* lenient: what was passed over, "FILE:LINE: unknown key ..." */
};

/* Both forms: one spec, or several under `vms:`. YAML, or JSON. name is for errors, the file's.
 * ERR_INVALID "NAME:LINE: ..." names the key. lenient: a key that is not known is a warning. On
 * success *ret is the caller's to free; it must be zero before. */
int spec_read(const char *text, size_t len, const char *name, bool lenient, struct spec_list *ret,
              struct err *err);

void spec_free(struct spec *spec);
void spec_list_free(struct spec_list *list);
#define auto_spec_list AUTO(spec_list_free)
#define auto_spec AUTO(spec_free)

/* Append one JSON object, on one line; spec_read gives the same again. A spec holds no secret. */
int spec_write_json(const struct spec *spec, struct buf *buf, struct err *err);

/* The same for people: YAML, a key per line. */
int spec_write_yaml(const struct spec *spec, struct buf *buf, struct err *err);

/* What the command line says over all specs. Zero: nothing. */
struct spec_overrides {
    int64_t readers, parallel_disks; /* > 0: this */
    enum tristate run_virt_v2v;
};

/* Make a spec as it is carried out: command line over spec over config over built-in defaults.
 * Merging twice changes nothing. overrides may be NULL. ERR_INVALID: no target, required fields of
 * the target are missing (all are named), or the vCenter it names is none of the config's. */
int spec_merge(const struct config *config, const struct spec_overrides *overrides,
               struct spec *spec, struct err *err);

/* Which target it has; unset before spec_merge when the spec names none. */
enum spec_target_kind spec_target_kind(const struct spec *spec);

/* Names as in the spec: "cloudstack", "files"; "warm"; "auto"; NULL for unset. */
const char *spec_target_name(enum spec_target_kind kind);
const char *spec_transport_name(enum spec_transport transport);
const char *spec_mode_name(enum spec_mode mode);
const char *spec_quiesce_name(enum spec_quiesce quiesce);
const char *spec_shutdown_name(enum spec_shutdown shutdown);
const char *spec_verify_name(enum spec_verify verify);

/* The machine as a person named it (moref, UUID, path or name). Borrowed. */
const char *spec_machine(const struct spec *spec);

/* Append what tells this migration from others: "HOST/moref:vm-16", "HOST:8443/name:web01",
 * with the vCenter's host in lower case and its port where it is not 443. ERR_INVALID: no such
 * vCenter. */
int spec_key(const struct spec *spec, const struct config *config, struct buf *buf,
             struct err *err);

#endif
