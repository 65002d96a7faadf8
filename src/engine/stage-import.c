/* import_root_disk: the machine's description is written, and all of it goes where it belongs; then
 * the machine is defined, where the destination has that. For files the root disk and the others
 * arrive in one act.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/cutover.h"
#include "engine/identity.h"
#include "engine/migration.h"
#include "engine/placement.h"
#include "guest/domxml.h"

static int place(struct migration *m, struct err *err);
static int define(struct migration *m, struct err *err);
static int start(struct migration *m, struct err *err);
static int write_description(struct migration *m, struct err *err);

static int
run(struct migration *m, struct err *err)
{
    if (m->job->warm.wanted && cutover_check_off(m, err) < 0)
        return -1;
    if (place(m, err) < 0 || define(m, err) < 0 || migration_introduce(m, err) < 0)
        return -1;
    return m->job->start ? start(m, err) : 0;
}

static int
place(struct migration *m, struct err *err)
{
    const struct platform *platform = m->job->platform;
    struct placement placement;
    migration_say(m, "Creating output metadata");
    if (platform->define && placement_ensure_id(m, err) < 0)
        return -1;
    if (!state_is(&m->state, STATE_PLACING)) {
        if (write_description(m, err) < 0 ||
            state_put(&m->state, STATE_CONVERSION, identity_of_conversion(m->job), err) < 0 ||
            state_mark(&m->state, STATE_PLACING, err) < 0)
            return -1;
    }
    placement_fill(m, &placement);
    return platform->place(&placement, err);
}

/* With this the machine has arrived. */
static int
define(struct migration *m, struct err *err)
{
    const struct platform *platform = m->job->platform;
    struct placement placement;
    if (state_is(&m->state, STATE_ARRIVED))
        return 0;
    if (!platform->define)
        return state_mark(&m->state, STATE_ARRIVED, err);
    placement_fill(m, &placement);
    if (state_apply(&m->state, ENGINE_BEGIN, "define",
                    json_pack("[o]", op_object("domain", m->vm->name, "planned", NULL)), err) < 0 ||
        platform->define(&placement, err) < 0)
        return -1;
    return state_apply(&m->state, ENGINE_DONE, "define",
                       json_pack("[o, o]", op_object("domain", m->vm->name, "made", NULL),
                                 op_put(STATE_ARRIVED, json_true())),
                       err);
}

/* Once: should it be found off later, somebody has shut it down. */
static int
start(struct migration *m, struct err *err)
{
    const struct platform *platform = m->job->platform;
    struct placement placement;
    if (!platform->start) {
        migration_log(m, LOG_LEVEL_INFO, "not-started",
                      "the machine is not started: -o %s knows no machines, only their files",
                      platform->name);
        return 0;
    }
    placement_fill(m, &placement);
    migration_say(m, "Starting %s", m->vm->name);
    if (state_apply(&m->state, ENGINE_BEGIN, "start",
                    json_pack("[o, o]", op_object("start", m->vm->name, "planned", NULL),
                              op_put(STATE_STARTING, json_true())),
                    err) < 0 ||
        platform->start(&placement, err) < 0)
        return -1;
    return state_apply(&m->state, ENGINE_DONE, "start",
                       json_pack("[o]", op_object("start", m->vm->name, "made", NULL)), err);
}

/* A guest that stays as it is gets the kind of devices it knows. */
static bool
needs_emulation(const struct migration *m)
{
    if (m->job->convert)
        return state_is(&m->state, STATE_NO_VIRTIO);
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (m->vm->disks[i].bus != VM_BUS_VIRTIO)
            return true;
    return false;
}

static bool
refuses_direct_io(const char *path)
{
    auto_close int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    return fd < 0 && errno == EINVAL;
}

/* Of files always for KVM: the machine that converts is often not the one that the guest will run
 * on. */
static int
write_description(struct migration *m, struct err *err)
{
    bool emulated;
    if (placement_is_emulated(m, &emulated, err) < 0)
        return -1;
    struct placement placement;
    placement_fill(m, &placement);
    struct domxml_disk disks[VM_MAX_DISKS];
    for (size_t i = 0; i < m->vm->n_disks; i++)
        disks[i] = (struct domxml_disk){
            .path = m->paths.final_disks[i],
            .format = m->job->disk_format,
            .no_direct = refuses_direct_io(m->paths.disks[i]),
        };
    struct domxml_spec spec = {
        .vm = m->vm,
        .facts = m->facts_known ? &m->facts : NULL,
        .disks = disks,
        .nics = m->nics.nics,
        .emulated = emulated,
        .no_virtio = needs_emulation(m),
        .firmware = migration_firmware(m),
        .mark_ns = m->job->platform->mark_ns,
        .mark_id = m->job->platform->mark_ns ? placement.id : NULL,
    };
    auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
    if (domxml_write(&spec, &xml, err) < 0)
        return -1;
    return file_write_atomic(m->paths.xml, xml.data, xml.len, 0600, err);
}

const struct stage stage_import = { .name = "import_root_disk", .weight = 4, .run = run };
