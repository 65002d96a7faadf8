/* import_root_disk: the machine's description is written, and all of it goes where it belongs. For
 * files the root disk and the others arrive in one act.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/identity.h"
#include "engine/migration.h"
#include "engine/placement.h"
#include "guest/domxml.h"

static int write_description(const struct migration *m, struct err *err);

static int
run(struct migration *m, struct err *err)
{
    struct placement placement;
    migration_say(m, "Creating output metadata");
    if (!state_is(&m->state, STATE_PLACING)) {
        if (write_description(m, err) < 0 ||
            state_put(&m->state, "conversion", identity_of_conversion(m->job), err) < 0 ||
            state_mark(&m->state, STATE_PLACING, err) < 0)
            return -1;
    }
    placement_fill(m, &placement);
    return m->job->platform->place(&placement, err);
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

/* Always for KVM: the machine that converts is often not the one that the guest will run on. */
static int
write_description(const struct migration *m, struct err *err)
{
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
        .no_virtio = needs_emulation(m),
        .firmware = migration_firmware(m),
    };
    auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
    if (domxml_write(&spec, &xml, err) < 0)
        return -1;
    return file_write_atomic(m->paths.xml, xml.data, xml.len, 0600, err);
}

const struct stage stage_import = { .name = "import_root_disk", .weight = 4, .run = run };
