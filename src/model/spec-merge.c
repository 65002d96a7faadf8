/* A spec as it is carried out: what command line, spec, config and built-in defaults say together.
 */
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "model/spec-fields.h"
#include "model/spec.h"

static int choose_target(const struct config *config, struct spec *spec, struct err *err);
static int merge_cloudstack(const struct config *config, struct spec_cloudstack *cloudstack,
                            struct err *err);
static void merge_conversion(const struct config *config, const struct spec_overrides *overrides,
                             struct spec *spec);
static int take_text(const char *from, char **to, struct err *err);

int
spec_merge(const struct config *config, const struct spec_overrides *overrides, struct spec *spec,
           struct err *err)
{
    static const struct spec_overrides none;
    const struct spec_overrides *over = overrides ? overrides : &none;
    struct spec_migration *migration = &spec->migration;
    if (!config_vcenter(config, spec->source.vcenter, err))
        return -1;
    if (choose_target(config, spec, err) < 0)
        return -1;
    if (over->readers > 0)
        migration->readers = over->readers;
    if (over->parallel_disks > 0)
        migration->parallel_disks = over->parallel_disks;
    if (migration->parallel_disks == 0)
        migration->parallel_disks = config->migration.parallel_disks;
    if (migration->finalize_settle_s == 0)
        migration->finalize_settle_s = config->migration.finalize_settle_s;
    if (!migration->snapshot_quiesce)
        migration->snapshot_quiesce = config->migration.snapshot_quiesce;
    if (!migration->shutdown_mode)
        migration->shutdown_mode = config->migration.shutdown_mode;
    merge_conversion(config, over, spec);
    if (take_text(config->virt.virtio_iso, &spec->conversion.virtio_win, err) < 0)
        return -1;
    if (spec->target.has_cloudstack && merge_cloudstack(config, &spec->target.cloudstack, err) < 0)
        return -1;
    return field_fill(spec_fields, spec, err);
}

/* v2c-engine's specs may leave CloudStack to the config, because they know no other target. */
static int
choose_target(const struct config *config, struct spec *spec, struct err *err)
{
    if (spec_target_kind(spec) != SPEC_TARGET_UNSET)
        return 0;
    if (!config->cloudstack.endpoint &&
        !field_any(spec_cloudstack_ids_fields, &config->cloudstack_defaults))
        return err_set(err, ERR_INVALID,
                       "no target: write one of cloudstack, kubevirt, libvirt or files under "
                       "'target'");
    spec->target.has_cloudstack = true;
    return 0;
}

/* Set *to when nothing is there. */
static int
take_text(const char *from, char **to, struct err *err)
{
    if (*to || !from)
        return 0;
    *to = strdup(from);
    return *to ? 0 : err_set(err, ERR_UNAVAILABLE, "no memory");
}

static bool
has_network(const struct spec_cloudstack *cloudstack)
{
    bool has = cloudstack->ids.networkid != NULL;
    for (size_t i = 0; i < cloudstack->n_nics; i++)
        has = has || cloudstack->nics[i].networkid;
    return has;
}

static int
check_cloudstack(const struct spec_cloudstack *cloudstack, struct err *err)
{
    const struct spec_cloudstack_ids *ids = &cloudstack->ids;
    const struct {
        const char *key;
        bool there;
    } needed[] = {
        { "zoneid", ids->zoneid },
        { "clusterid", ids->clusterid },
        { "storageid", ids->storageid },
        { "networkid (or a nic_mappings with one)", has_network(cloudstack) },
        { "serviceofferingid", ids->serviceofferingid },
    };
    auto_buf struct buf missing = BUF_INIT(ERR_TEXT_MAX);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!needed[i].there &&
            buf_printf(&missing, err, "%s%s", missing.len ? ", " : "", needed[i].key) < 0)
            return -1;
    if (missing.len == 0)
        return 0;
    return err_set(err, ERR_INVALID,
                   "target.cloudstack: missing: %s; give them in the spec, or in the config under "
                   "'cloudstack_defaults'",
                   missing.data);
}

static int
merge_cloudstack(const struct config *config, struct spec_cloudstack *cloudstack, struct err *err)
{
    for (const struct field *field = spec_cloudstack_ids_fields; field->key; field++) {
        const char *from =
            *(char *const *)((const char *)&config->cloudstack_defaults + field->offset);
        if (take_text(from, (char **)((char *)&cloudstack->ids + field->offset), err) < 0)
            return -1;
    }
    return check_cloudstack(cloudstack, err);
}

/* Without a word from anybody, CloudStack gets the image as it is, as from v2c-engine; where that
 * has no precedent, the machine is converted, because else it may not start. */
static void
merge_conversion(const struct config *config, const struct spec_overrides *overrides,
                 struct spec *spec)
{
    const enum tristate candidates[] = {
        overrides->run_virt_v2v,
        spec->conversion.run_virt_v2v,
        spec->migration.run_virt_v2v,
        config->virt.run_virt_v2v,
        spec->target.has_cloudstack ? TRISTATE_NO : TRISTATE_YES,
    };
    size_t i = 0;
    while (!candidates[i])
        i++;
    spec->conversion.run_virt_v2v = spec->migration.run_virt_v2v = candidates[i];
}

int
spec_key(const struct spec *spec, const struct config *config, struct buf *buf, struct err *err)
{
    char host[CONFIG_HOST_MAX];
    unsigned port;
    const struct spec_vm *vm = &spec->vm;
    const struct config_vcenter *vcenter = config_vcenter(config, spec->source.vcenter, err);
    if (!vcenter || config_vcenter_endpoint(vcenter, host, &port, err) < 0)
        return -1;
    if (buf_printf(buf, err, port == CONFIG_HTTPS_PORT ? "%s/" : "%s:%u/", host, port) < 0)
        return -1;
    return buf_printf(buf, err, "%s:%s",
                      vm->moref  ? "moref"
                      : vm->uuid ? "uuid"
                      : vm->path ? "path"
                                 : "name",
                      spec_machine(spec));
}
