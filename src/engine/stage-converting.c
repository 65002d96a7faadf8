/* converting: virt-v2v-in-place and the network's names, on overlays; the copied images are touched
 * only when both have succeeded.
 *
 * A mark in the state is written before the overlays are merged, so that a run killed while it
 * merges is followed by one that merges again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/identity.h"
#include "engine/migration.h"
#include "engine/round.h"
#include "engine/survey.h"
#include "guest/convert.h"
#include "guest/domxml.h"
#include "guest/netid.h"
#include "guest/overlay.h"

/* Where virt-v2v makes its sockets, names must be shorter than one of a socket by so much. */
#define SOCKET_ROOM 32

static int look_again(struct migration *m, struct err *err);
static int convert(struct migration *m, struct err *err);
static int make_overlays(const struct migration *m, struct err *err);
static int write_source_xml(const struct migration *m, struct err *err);
static int run_virt_v2v(struct migration *m, struct err *err);
static int keep_network_names(struct migration *m, struct err *err);
static int merge(struct migration *m, struct err *err);
static int drop_overlays(const struct migration *m, struct err *err);

static int
run(struct migration *m, struct err *err)
{
    if (state_is(&m->state, STATE_PLACING))
        return 0;
    if (look_again(m, err) < 0)
        return -1;
    if (!m->job->convert || state_is(&m->state, STATE_CONVERTED))
        return drop_overlays(m, err);
    if (!state_is(&m->state, STATE_COMMITTING) && convert(m, err) < 0) {
        struct err ignored = ERR_INIT;
        drop_overlays(m, &ignored);
        return -1;
    }
    return merge(m, err);
}

/* At what could not be looked at before it was copied. */
static int
look_again(struct migration *m, struct err *err)
{
    struct vm_image images[VM_MAX_DISKS] = { 0 };
    if (m->facts_known)
        return 0;
    for (size_t i = 0; i < m->vm->n_disks; i++)
        images[i] =
            (struct vm_image){ .path = m->paths.disks[i], .format = (char *)m->job->disk_format };
    return survey_make(m, images, err);
}

static int
convert(struct migration *m, struct err *err)
{
    if (migration_accel(m, err) < 0 || make_overlays(m, err) < 0 || write_source_xml(m, err) < 0)
        return -1;
    int r = run_virt_v2v(m, err);
    if (r < 0 && err->kind == ERR_UNAVAILABLE && m->accel == ACCEL_KVM) {
        migration_log(m, LOG_LEVEL_WARNING, "acceleration-failed",
                      "the conversion starts again without hardware acceleration: %s", err->text);
        accel_forget_kvm(err->text);
        m->accel = ACCEL_TCG;
        r = make_overlays(m, err);
        if (r == 0)
            r = run_virt_v2v(m, err);
    }
    if (r < 0 || job_checkpoint(m, err) < 0 || keep_network_names(m, err) < 0 ||
        job_checkpoint(m, err) < 0)
        return -1;
    /* From here on the images are not those of any moment of the source. */
    return state_apply(&m->state, ENGINE_NOTE, NULL,
                       json_pack("[o, o, o]",
                                 op_put(STATE_CONVERSION, identity_of_conversion(m->job)),
                                 op_put(ROUND_EPOCHS, NULL), op_put(STATE_COMMITTING, json_true())),
                       err);
}

/* ---- overlays ---- */

static int
make_overlays(const struct migration *m, struct err *err)
{
    if (drop_overlays(m, err) < 0)
        return -1;
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (overlay_create(m->paths.disks[i], m->job->disk_format, m->paths.overlays[i], err) < 0)
            return -1;
    return 0;
}

static int
drop_overlays(const struct migration *m, struct err *err)
{
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (overlay_drop(m->paths.overlays[i], err) < 0)
            return -1;
    return 0;
}

static int
merge(struct migration *m, struct err *err)
{
    migration_say(m, "Merging the conversion into the disks");
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (access(m->paths.overlays[i], F_OK) == 0 &&
            overlay_commit(m->paths.overlays[i], m->paths.disks[i], err) < 0)
            return -1;
    if (state_mark(&m->state, STATE_CONVERTED, err) < 0)
        return -1;
    return drop_overlays(m, err);
}

/* ---- virt-v2v-in-place ---- */

static int
write_source_xml(const struct migration *m, struct err *err)
{
    struct domxml_disk disks[VM_MAX_DISKS];
    for (size_t i = 0; i < m->vm->n_disks; i++)
        disks[i] = (struct domxml_disk){ .path = m->paths.overlays[i], .format = "qcow2" };
    struct domxml_spec spec = {
        .vm = m->vm,
        .facts = m->facts_known ? &m->facts : NULL,
        .disks = disks,
        .firmware = migration_firmware(m),
    };
    auto_buf struct buf xml = BUF_INIT(DOMXML_MAX_BYTES);
    if (domxml_write_source(&spec, &xml, err) < 0)
        return -1;
    return file_write_atomic(m->paths.source_xml, xml.data, xml.len, 0600, err);
}

/* A private directory for its scratch files: in the working folder, where the room was counted,
 * unless its sockets would get names that are too long. */
static int
make_temp_dir(const struct migration *m, char **ret_path, struct err *err)
{
    struct sockaddr_un *unused = NULL;
    auto_free char *path = NULL;
    if (workdir_path(&m->work, "tmp", &path, err) < 0)
        return -1;
    if (strlen(path) + SOCKET_ROOM > sizeof unused->sun_path)
        return dir_make_private("/var/tmp", ret_path, err);
    if (dir_remove(path, err) < 0)
        return -1;
    if (mkdir(path, 0700) < 0)
        return err_errno(err, errno, "%s: make a directory", path);
    *ret_path = TAKE_PTR(path);
    return 0;
}

static void
show_event(const struct convert_event *event, void *arg)
{
    struct migration *m = arg;
    struct err ignored = ERR_INIT;
    if (event->line == CONVERT_STAGE) {
        /* Its own source is only our overlay. */
        if (strncmp(event->text, "Setting up the source", 21) != 0)
            migration_say(m, "%s", event->text);
        struct engine_progress progress = { .disk = "conversion", .eta_s = -1, .pct = event->pct };
        if (event->pct >= 0)
            migration_progress(m, &progress);
        return;
    }
    /* Then it gives the guest emulated devices, and so must its description. The mark is only a
     * hint for that: to fail here would be worse. */
    if (strstr(event->text, "no virtio drivers available"))
        state_mark(&m->state, STATE_NO_VIRTIO, &ignored);
    migration_log(m, event->line == CONVERT_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                  "virt-v2v", "%s", event->text);
}

static int
run_virt_v2v(struct migration *m, struct err *err)
{
    auto_free char *temp_dir = NULL;
    if (make_temp_dir(m, &temp_dir, err) < 0)
        return -1;
    struct convert_spec spec = {
        .xml_path = m->paths.source_xml,
        .log_path = m->paths.convert_log,
        .temp_dir = temp_dir,
        .accel = m->accel,
        .root = m->job->root,
        .keys = m->job->keys,
        .macs = m->nics.ip_macs,
        .block_driver = m->job->block_driver,
        .memsize_mib = m->job->memsize_mib,
        .no_fstrim = m->job->no_fstrim,
        .trace = m->job->trace,
        .virtio_win = m->job->virtio_win,
    };
    struct err ignored = ERR_INIT;
    int r = convert_run(&spec, show_event, migration_is_cancelled, m, err);
    dir_remove(temp_dir, &ignored);
    return r;
}

/* ---- the names of network interfaces ---- */

static int
keep_network_names(struct migration *m, struct err *err)
{
    struct vm_image images[VM_MAX_DISKS] = { 0 };
    if (m->facts_known && m->facts.type != GUEST_LINUX)
        return 0;
    for (size_t i = 0; i < m->vm->n_disks; i++)
        images[i] = (struct vm_image){ .path = m->paths.overlays[i], .format = (char *)"qcow2" };
    struct inspect_options options = {
        .root = m->facts_known && m->facts.root ? m->facts.root : m->job->root,
        .keys = m->job->keys,
        .accel = m->accel,
        .log_path = m->paths.inspect_log,
        .cancelled = migration_is_cancelled,
        .arg = m,
    };
    struct guest_report notes = { .n_findings = 0 };
    migration_say(m, "Keeping the names of network interfaces");
    int r = netid_apply(images, m->vm->n_disks, m->vm->nics, m->vm->n_nics, &options, &notes, err);
    for (size_t i = 0; r == 0 && i < notes.n_findings; i++)
        migration_log(m,
                      notes.findings[i].level == FINDING_INFO ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                      notes.findings[i].code, "%s", notes.findings[i].text);
    guest_facts_free(&notes.facts);
    return r < 0 ? err_prefix(err, "keep the names of network interfaces") : 0;
}

const struct stage stage_converting = { .name = "converting", .weight = 35, .run = run };
