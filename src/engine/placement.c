#include "engine/placement.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#define STATE_ID "id" /* of the state: the migration's, when the job brings none */

static void fill_host(const struct migration *m, struct placement_host *host);

void
placement_fill(const struct migration *m, struct placement *ret_placement)
{
    *ret_placement = (struct placement){
        .dir = m->paths.dir,
        .name = m->vm->name,
        .uuid = m->vm->uuid,
        .id = m->job->id ? m->job->id : json_get_str(m->state.json, STATE_ID, NULL),
        .file_mode = m->file_mode,
        .n_disks = m->vm->n_disks,
        .made_xml = m->paths.xml,
        .final_xml = m->paths.final_xml,
    };
    for (size_t i = 0; i < m->vm->n_disks; i++)
        ret_placement->disks[i] = (struct placement_disk){
            .made = m->paths.disks[i],
            .final = m->paths.final_disks[i],
        };
    fill_host(m, &ret_placement->host);
}

/* A NIC whose network nobody named is plugged into "default", as guest/domxml.h has it. */
static void
fill_host(const struct migration *m, struct placement_host *host)
{
    host->uri = m->job->uri;
    host->pool = m->job->pool;
    for (size_t i = 0; i < m->vm->n_nics; i++) {
        const struct domxml_nic *nic = &m->nics.nics[i];
        if (!nic->network)
            host->networks[host->n_networks++] = "default";
        else if (!nic->bridge)
            host->networks[host->n_networks++] = nic->network;
    }
}

int
placement_find_dir(const struct migration *m, char **ret_dir, struct err *err)
{
    struct placement placement;
    *ret_dir = NULL;
    if (m->job->dir || !m->job->platform->find_dir)
        return 0;
    placement_fill(m, &placement);
    return m->job->platform->find_dir(&placement, ret_dir, err);
}

int
placement_ensure_id(struct migration *m, struct err *err)
{
    uint64_t number;
    char id[24];
    if (m->job->id || json_object_get(m->state.json, STATE_ID))
        return 0;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return err_errno(err, errno, "random numbers");
    snprintf(id, sizeof id, "%016" PRIx64, number);
    return state_put(&m->state, STATE_ID, json_string(id), err);
}

int
placement_take_back(struct migration *m, struct err *err)
{
    const struct platform *platform = m->job->platform;
    struct placement placement;
    if (!state_is(&m->state, STATE_PLACING))
        return 0;
    placement_fill(m, &placement);
    if ((platform->undo && platform->undo(&placement, err) < 0) ||
        (platform->take_back && platform->take_back(&placement, err) < 0))
        return -1;
    json_t *ops = json_pack("[o]", op_put(STATE_PLACING, NULL));
    if (ops && platform->undo &&
        json_array_append_new(ops, op_object("domain", m->vm->name, "gone", NULL)) < 0) {
        json_decref(ops);
        ops = NULL;
    }
    return state_apply(&m->state, ENGINE_NOTE, NULL, ops, err);
}

int
placement_is_emulated(struct migration *m, bool *ret_emulated, struct err *err)
{
    struct placement placement;
    struct err no_probe = ERR_INIT;
    bool kvm = true;
    *ret_emulated = false;
    if (!m->job->platform->has_kvm)
        return 0;
    placement_fill(m, &placement);
    if (m->job->platform->has_kvm(&placement, &kvm, err) < 0)
        return -1;
    /* libvirt believes a /dev/kvm that is there. Where we cannot probe, its word stands. */
    bool works = kvm && (migration_accel(m, &no_probe) < 0 || m->accel == ACCEL_KVM);
    *ret_emulated = !works;
    if (!works)
        migration_log(m, LOG_LEVEL_WARNING, "emulated",
                      "the machine is defined for emulation (type qemu), which is many times "
                      "slower: %s; on a host with it, change the domain's type to kvm",
                      kvm ? "hardware acceleration does not work here"
                          : "libvirt's host has no hardware acceleration");
    return 0;
}
