#include "daemon/job-json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "daemon/daemon.h"

#define POOL_DEFAULT "default" /* as virt-v2v -o libvirt */

static int check_conversion(const struct spec *spec, struct err *err);
static json_t *input_of(const struct spec *spec, const struct config *config);
static int output_of(const struct spec *spec, json_t **ret, struct err *err);
static json_t *networks_of(const struct spec *spec);
static json_t *texts_of(const struct text_list *list);
static json_t *warm_of(const struct spec *spec);
static int add_endpoint(struct daemon *daemon, json_t *start, struct err *err);
static json_t *history_of(struct daemon *daemon);

/* ---- from a spec ---- */

int
job_json_make(const struct spec *spec, const struct config *config, char **ret_job, struct err *err)
{
    auto_json json_t *output = NULL;
    const struct spec_migration *m = &spec->migration;
    if (check_conversion(spec, err) < 0 || output_of(spec, &output, err) < 0)
        return -1;
    bool converts = spec->conversion.run_virt_v2v == TRISTATE_YES;
    const char *verify = spec_verify_name(m->verify);
    auto_json json_t *job = json_pack(
        "{s:s, s:o, s:O, s:{s:b, s:n, s:n, s:i, s:b, s:b, s:s?}, s:{s:[], s:[], s:[]}, s:o, "
        "s:I, s:I, s:s, s:b, s:o, s:b}",
        "action", "migrate", "input", input_of(spec, config), "output", output, "convert", "wanted",
        converts, "root", "block_driver", "memsize_mib", 0, "no_fstrim", 0, "trace", 0,
        "virtio_win", spec->conversion.virtio_win, "nics", "macs", "networks", "bridges", "keys",
        texts_of(&spec->conversion.keys), "limit_bytes_s", (json_int_t)m->bandwidth_bytes_s,
        "parallel_disks", (json_int_t)m->parallel_disks, "verify", verify ? verify : "changed",
        "discard", 0, "warm", warm_of(spec), "journal", 1);
    *ret_job = job ? json_dumps(job, JSON_COMPACT) : NULL;
    return *ret_job ? 0 : err_errno(err, ENOMEM, "%s", spec_machine(spec));
}

/* virt-v2v-in-place has no option for it in the versions that we know. */
static int
check_conversion(const struct spec *spec, struct err *err)
{
    if (spec->conversion.first_boot.n == 0)
        return 0;
    return err_set(err, ERR_INVALID,
                   "conversion.first_boot: this version of vmferry puts no scripts into the guest: "
                   "take it out, and run them in the new machine yourself, or put them into the "
                   "guest before it moves");
}

static json_t *
input_of(const struct spec *spec, const struct config *config)
{
    const char *transport = spec_transport_name(spec->source.transport);
    return json_pack("{s:s, s:s, s:s, s:s?, s:b, s:b, s:{s:s?, s:n, s:n}, s:{s:n, s:i, s:n, s:n, "
                     "s:n, s:n, s:b}}",
                     "kind", "vsphere", "vm", spec_machine(spec), "transport",
                     transport ? transport : "auto", "vcenter", spec->source.vcenter, "snapshot", 0,
                     "no_verify", 0, "vddk", "libdir", config->migration.vddk_path, "config",
                     "transports", "ssh", "host", "port", 0, "user", "password", "identity",
                     "known_hosts", "accept_new", 0);
}

static int
output_of(const struct spec *spec, json_t **ret, struct err *err)
{
    enum spec_target_kind kind = spec_target_kind(spec);
    const struct spec_target *target = &spec->target;
    json_t *output = NULL;
    bool starts = spec->migration.start_vm_after_import == TRISTATE_YES;
    if (kind == SPEC_TARGET_FILES)
        output = json_pack("{s:s, s:s}", "kind", "local", "dir", target->files.directory);
    else if (kind == SPEC_TARGET_LIBVIRT)
        output =
            json_pack("{s:s, s:s?, s:s, s:n, s:o}", "kind", "libvirt", "uri", target->libvirt.uri,
                      "pool", target->libvirt.pool ? target->libvirt.pool : POOL_DEFAULT, "dir",
                      "networks", networks_of(spec));
    else
        return err_set(err, ERR_INVALID,
                       "target.%s: this version of vmferry cannot migrate to it; it can to "
                       "target.files and target.libvirt",
                       spec_target_name(kind));
    if (!output || json_object_set_new(output, "name", json_null()) < 0 ||
        json_object_set_new(output, "disk_format", json_string("qcow2")) < 0 ||
        json_object_set_new(output, "preallocated", json_false()) < 0 ||
        json_object_set_new(output, "start", json_boolean(starts)) < 0) {
        json_decref(output);
        return err_errno(err, ENOMEM, "%s", spec_machine(spec));
    }
    *ret = output;
    return 0;
}

static json_t *
networks_of(const struct spec *spec)
{
    json_t *networks = json_object();
    const struct text_map *map = &spec->target.libvirt.network_map;
    for (size_t i = 0; i < map->n; i++)
        json_object_set_new(networks, map->items[i].key, json_string(map->items[i].value));
    return networks;
}

static json_t *
texts_of(const struct text_list *list)
{
    json_t *texts = json_array();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(texts, json_string(list->items[i]));
    return texts;
}

/* null of a cold migration. */
static json_t *
warm_of(const struct spec *spec)
{
    const struct spec_migration *m = &spec->migration;
    const char *shutdown = spec_shutdown_name(m->shutdown_mode);
    const char *quiesce = spec_quiesce_name(m->snapshot_quiesce);
    if (m->mode == SPEC_MODE_COLD)
        return json_null();
    json_t *warm = json_pack(
        "{s:I, s:I, s:I, s:s, s:s, s:b, s:I, s:I}", "interval_s", (json_int_t)m->delta_interval_s,
        "finalize_interval_s", (json_int_t)m->finalize_delta_interval_s, "finalize_window_s",
        (json_int_t)m->finalize_window_s, "shutdown", shutdown ? shutdown : "auto", "quiesce",
        quiesce ? quiesce : "auto", "power_on_after_failure",
        m->power_on_after_failure != TRISTATE_NO, "max_rounds", (json_int_t)m->max_rounds,
        "max_downtime_s", (json_int_t)m->max_downtime_s);
    json_object_set_new(warm, "finalize_at",
                        m->finalize_at ? json_integer(m->finalize_at) : json_null());
    json_object_set_new(warm, "settle_s",
                        m->finalize_settle_s ? json_integer(m->finalize_settle_s) : json_null());
    return warm;
}

/* ---- to a worker ---- */

int
job_json_start(struct entry *entry, json_t **ret_start, uint64_t *ret_limit_bytes_s,
               struct err *err)
{
    struct daemon *daemon = entry->daemon;
    auto_migration struct store_migration m = { .fence = 0 };
    if (store_migration_get(daemon->store, entry->id, &m, err) < 0)
        return -1;
    auto_json json_t *start = json_parse_object(m.job, strlen(m.job), err);
    auto_json json_t *state = start ? json_parse_object(m.state, strlen(m.state), err) : NULL;
    if (!state)
        return err_prefix(err, "%s: what is in the store", entry_text(entry));
    if (!json_object_get(state, "version"))
        json_object_set_new(state, "version", json_integer(1));
    uint64_t limit = job_json_limit(entry->limit_bytes_s, daemon->limits.bandwidth_bytes_s);
    if (json_object_set_new(start, "id", json_string(entry->id)) < 0 ||
        json_object_set(start, "state", state) < 0 ||
        json_object_set_new(start, "attempt", json_integer(entry->attempt)) < 0 ||
        json_object_set_new(start, "wishes", job_json_wishes(entry)) < 0 ||
        json_object_set_new(start, "history", history_of(daemon)) < 0 ||
        json_object_set_new(start, "limit_bytes_s", json_integer((json_int_t)limit)) < 0)
        return err_errno(err, ENOMEM, "%s", entry_text(entry));
    if (add_endpoint(daemon, start, err) < 0)
        return -1;
    json_object_set_new(start, "type", json_string("start"));
    *ret_start = TAKE_PTR(start);
    *ret_limit_bytes_s = limit;
    return 0;
}

static int
add_endpoint(struct daemon *daemon, json_t *start, struct err *err)
{
    json_t *input = json_object_get(start, "input");
    char host[CONFIG_HOST_MAX];
    unsigned port;
    if (strcmp(json_get_str(input, "kind", ""), "vsphere") != 0)
        return 0;
    const struct config_vcenter *vcenter =
        config_vcenter(&daemon->config, json_get_str(input, "vcenter", NULL), err);
    if (!vcenter || config_vcenter_endpoint(vcenter, host, &port, err) < 0)
        return -1;
    if (!vcenter->user || !vcenter->password.value)
        return err_set(err, ERR_DENIED,
                       "%s: user or password is missing in the config (vcenter.user, "
                       "vcenter.password, password_file or $VC_PASSWORD)",
                       host);
    json_t *endpoint =
        json_pack("{s:s, s:i, s:n, s:n, s:s, s:s, s:s?, s:s?}", "server", host, "port", (int)port,
                  "face", "datacenter", "user", vcenter->user, "password", vcenter->password.value,
                  "thumbprint", vcenter->tls.thumbprint, "ca", vcenter->tls.ca);
    if (json_object_set_new(input, "endpoint", endpoint) < 0 ||
        json_object_set_new(input, "nfc_port", json_integer(vcenter->nfc_port)) < 0 ||
        json_object_set_new(input, "no_verify", json_boolean(vcenter->tls.verify == TRISTATE_NO)) <
            0)
        return err_errno(err, ENOMEM, "%s", host);
    return 0;
}

json_t *
job_json_wishes(const struct entry *entry)
{
    return json_pack("{s:b, s:b, s:s?, s:b, s:b, s:b}", "finalize", entry->finalize, "finalize_now",
                     entry->finalize_now, "shutdown", entry->shutdown, "paused", entry->paused,
                     "cancel", entry->cancel, "cleanup", entry->cleanup);
}

/* How long stages took before, for the forecast: {"converting": {"seconds": 61, "n": 12}}. */
static json_t *
history_of(struct daemon *daemon)
{
    static const enum job_stage stages[] = { JOB_STAGE_FINAL_SYNC, JOB_STAGE_CONVERTING,
                                             JOB_STAGE_IMPORT_ROOT_DISK };
    json_t *history = json_object();
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        struct err ignored = ERR_INIT;
        int64_t seconds = 0;
        unsigned n = 0;
        const char *stage = job_stage_name(stages[i]);
        if (store_stage_seconds(daemon->store, stage, &seconds, &n, &ignored) == 0 && n > 0)
            json_object_set_new(
                history, stage,
                json_pack("{s:I, s:I}", "seconds", (json_int_t)seconds, "n", (json_int_t)n));
    }
    return history;
}

/* ---- what else it says ---- */

static json_t *
parsed(const char *job)
{
    struct err ignored = ERR_INIT;
    return job ? json_parse_object(job, strlen(job), &ignored) : NULL;
}

bool
job_json_converts(const char *job)
{
    auto_json json_t *json = parsed(job);
    return json_get_bool(json_object_get(json, "convert"), "wanted", true);
}

uint64_t
job_json_bandwidth(const char *job)
{
    auto_json json_t *json = parsed(job);
    return json_get_u64(json, "limit_bytes_s", 0);
}

int
job_json_same_machine(const char *old_job, const char *new_job, struct err *err)
{
    auto_json json_t *was = parsed(old_job);
    auto_json json_t *is = parsed(new_job);
    const json_t *from = json_object_get(was, "output"), *to = json_object_get(is, "output");
    if (json_equal(from, to) &&
        json_is_null(json_object_get(was, "warm")) == json_is_null(json_object_get(is, "warm")))
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "it has begun with another target, or in another mode: cancel it first, or go "
                   "on with the spec that it began with");
}

uint64_t
job_json_limit(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return MAX(a, b);
    return MIN(a, b);
}
