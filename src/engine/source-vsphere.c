/* A machine of a vCenter or an ESXi: found, judged, held still, and let go.
 *
 * A running machine is read from a snapshot of ours. Its name is in the journal before it is made;
 * close removes it on every way out, and recall what a run that was killed has left.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "engine/check.h"
#include "engine/endpoint.h"
#include "engine/round.h"
#include "engine/source-vsphere.h"
#include "engine/transport.h"
#include "vmware/find.h"

#define NAME_ID_BYTES 6
#define LATE_SNAPSHOT_NS (20 * NS_PER_S)

static const struct source_ops vsphere_ops;
static int take_machine(struct vsphere_source *v, struct err *err);
static int wait_for_snapshot(struct vsphere_source *v, struct err *err);
static int look_for_snapshot(struct vsphere_source *v, struct err *err);

int
source_vsphere_new(struct source **ret, struct err *err)
{
    struct vsphere_source *v = calloc(1, sizeof *v);
    if (!v)
        return err_errno(err, ENOMEM, "a source");
    v->source.ops = &vsphere_ops;
    v->source.live = &vsphere_live_ops;
    *ret = &v->source;
    return 0;
}

static void
vsphere_free(struct source *src)
{
    struct vsphere_source *v = to_vsphere(src);
    vsphere_reads_free(v);
    vmware_lease_free(v->lease);
    vmware_machine_free(v->machine);
    vmware_logout(v->session);
    agent_properties_free(&v->agent);
    free(v->server_id);
    free(v);
}

/* ---- what it is ---- */

int
vsphere_login(struct vsphere_source *v, struct err *err)
{
    if (v->session)
        return 0;
    return endpoint_login(v->source.job->vsphere.endpoint, source_cancelled, &v->source,
                          &v->session, err);
}

static int
vsphere_describe(struct source *src, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    const struct job_vsphere *job = &src->job->vsphere;
    if (job->no_verify)
        source_log(src, LOG_LEVEL_WARNING, "no-verify",
                   "no_verify=1 does not switch verification off here: a certificate that no CA "
                   "has signed is kept at its first use, and another one is refused from then on");
    if (vsphere_login(v, err) < 0)
        return -1;
    const struct vmware_about *about = vmware_about(v->session);
    bool vcenter = about->vcenter && *about->instance_uuid;
    v->server_id = strdup(vcenter ? about->instance_uuid : vmware_endpoint(v->session));
    if (!v->server_id)
        return err_errno(err, ENOMEM, "a source");
    source_log(src, LOG_LEVEL_INFO, NULL, "%s is %s", vmware_endpoint(v->session),
               about->full_name);

    auto_vmware_found struct vmware_found found = { .name = NULL };
    if (vmware_find(v->session, src->job->vm, json_get_str(job->endpoint, "datacenter", NULL),
                    &found, err) < 0 ||
        vmware_machine_read(v->session, found.moref, NULL, &v->machine, err) < 0)
        return -1;
    return take_machine(v, err);
}

/* The machine keeps its own description, for the rules that judge it. */
static int
take_machine(struct vsphere_source *v, struct err *err)
{
    struct vm *vm = v->source.vm;
    if (vm_copy(v->machine->vm, vm, err) < 0)
        return -1;
    for (size_t i = 0; i < vm->n_disks; i++)
        if (vm_set_text(&vm->disks[i].image.path, v->machine->disks[i].file, err) < 0 ||
            vm_set_text(&vm->disks[i].image.format, "vmdk", err) < 0)
            return -1;
    return 0;
}

static json_t *
vsphere_disk_identity(const struct source *src, size_t i)
{
    const struct vsphere_source *v = to_vsphere(src);
    const struct vmware_machine *m = v->machine;
    /* Between two rounds a disk may grow; then it is copied anew (engine/round). */
    uint64_t bytes = src->job->warm.wanted ? 0 : m->disks[i].capacity_bytes;
    return json_pack("{s:s, s:s, s:i, s:s, s:I}", "server", v->server_id, "machine",
                     *m->instance_uuid ? m->instance_uuid : m->moref, "disk", m->disks[i].key,
                     "uuid", m->disks[i].uuid, "capacity_bytes", (json_int_t)bytes);
}

static const char *
created_of(const struct vsphere_source *v)
{
    const struct vmware_machine *m = v->machine;
    for (size_t i = 0; i < m->n_snapshots; i++)
        if (strcmp(m->snapshots[i].moref, v->snapshot) == 0)
            return m->snapshots[i].created;
    return "";
}

/* Of a machine that is off its content ID changes with the first write after it was opened. */
const char *
vsphere_disk_content(const struct vsphere_source *v, size_t i, char text[VSPHERE_IDENTITY_MAX])
{
    const struct vmware_disk *disk = &v->machine->disks[i];
    const char *machine = v->machine->moref;
    text[0] = '\0';
    if (v->snapshot[0])
        snprintf(text, VSPHERE_IDENTITY_MAX, "%s %s disk %d in %s of %s, %s", v->server_id, machine,
                 disk->key, v->snapshot, created_of(v), disk->file);
    else if (!vsphere_is_running(v) && *disk->content_id)
        snprintf(text, VSPHERE_IDENTITY_MAX, "%s %s disk %d content %s change %s, %s", v->server_id,
                 machine, disk->key, disk->content_id, disk->change_id, disk->file);
    return text;
}

static int
vsphere_content(struct source *src, struct buf *ret, struct err *err)
{
    const struct vsphere_source *v = to_vsphere(src);
    char text[VSPHERE_IDENTITY_MAX];
    for (size_t i = 0; i < v->machine->n_disks; i++) {
        if (!*vsphere_disk_content(v, i, text)) {
            buf_consume(ret, ret->len);
            return 0;
        }
        if (buf_printf(ret, err, "%s\n", text) < 0)
            return -1;
    }
    return 0;
}

/* ---- whether it can be moved ---- */

static void
log_finding(enum log_level level, const char *code, const char *text, void *arg)
{
    source_log(arg, level, code, "%s", text);
}

static int
check_cold(struct vsphere_source *v, struct check_context *context, struct err *err)
{
    const struct job_vsphere *job = &v->source.job->vsphere;
    context->snapshot = job->snapshot && vsphere_is_running(v);
    if (check_refuse(v->machine, context, CHECK_COLD, log_finding, v, err) < 0)
        return -1;
    if (context->snapshot && job->transport == JOB_TRANSPORT_SSH)
        return err_set(err, ERR_INVALID,
                       "%s: is running, and -it ssh reads no snapshots: shut it down, or use "
                       "another transport",
                       v->machine->name);
    if (job->snapshot && !vsphere_is_running(v))
        source_log(&v->source, LOG_LEVEL_INFO, NULL,
                   "the machine is off: --snapshot has nothing to do");
    return 0;
}

/* Round after round parts of the disks are read, which only two transports can. */
static int
check_warm(struct vsphere_source *v, struct check_context *context, struct err *err)
{
    enum job_transport transport = v->source.job->vsphere.transport;
    if (transport == JOB_TRANSPORT_EXPORT || transport == JOB_TRANSPORT_SSH)
        return err_set(err, ERR_INVALID,
                       "%s: transport %s reads whole disks only, and a warm migration reads what "
                       "changed: use auto, vddk or https",
                       v->machine->name, job_transport_name(transport));
    context->snapshot = true;
    if (!context->transports)
        context->transports = CHECK_BY_WARM;
    /* What an earlier run of this migration turned on or switched off is no finding. */
    if (json_object_get(v->source.job->state, "copy"))
        return 0;
    return check_refuse(v->machine, context, CHECK_WARM, log_finding, v, err);
}

static int
vsphere_check(struct source *src, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    bool warm = src->job->warm.wanted;
    struct check_context context = {
        .esxi = !vmware_is_vcenter(v->session),
        .now = true,
        .transports = transport_bit(src->job->vsphere.transport),
        .ours = VMWARE_SNAPSHOT_PREFIX,
    };
    if ((warm ? check_warm(v, &context, err) : check_cold(v, &context, err)) < 0)
        return -1;
    context.transports = warm ? CHECK_BY_WARM : 0;
    return vsphere_choose(v, check_transports(v->machine, &context), err);
}

/* ---- the snapshot ---- */

/* begin: it is about to be made; done: it is there. */
static int
write_journal(struct vsphere_source *v, struct state *state, enum engine_when when, struct err *err)
{
    json_t *ops = json_pack(
        "[o, o]",
        op_put(STATE_SOURCE, json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", "vsphere", "server",
                                       v->server_id, "machine", v->machine->moref, "snapshot",
                                       v->snapshot_name, "snapshot_moref", v->snapshot)),
        op_object("snapshot", v->snapshot_name, when == ENGINE_BEGIN ? "planned" : "made",
                  json_pack("{s:s, s:s}", "moref", v->snapshot, "machine", v->machine->moref)));
    return state_apply(state, when, "snapshot", ops, err);
}

int
vsphere_make_name(char name[VSPHERE_NAME_MAX], struct err *err)
{
    uint8_t id[NAME_ID_BYTES];
    if (getrandom(id, sizeof id, 0) != sizeof id)
        return err_errno(err, errno, "random bytes");
    int len = snprintf(name, VSPHERE_NAME_MAX, VMWARE_SNAPSHOT_PREFIX);
    for (size_t i = 0; i < sizeof id; i++)
        len += snprintf(name + len, VSPHERE_NAME_MAX - (size_t)len, "%02x", id[i]);
    return 0;
}

/* The disks of the machine as the snapshot recorded them, in place of those of now. */
static int
read_frozen(struct vsphere_source *v, struct err *err)
{
    struct vmware_machine *frozen = NULL;
    const struct vmware_machine *now = v->machine;
    if (vmware_machine_read(v->session, now->moref, v->snapshot, &frozen, err) < 0)
        return err_prefix(err, "snapshot %s", v->snapshot_name);
    bool same = frozen->n_disks == now->n_disks;
    for (size_t i = 0; same && i < now->n_disks; i++)
        same = frozen->disks[i].key == now->disks[i].key &&
               frozen->disks[i].capacity_bytes == now->disks[i].capacity_bytes;
    if (!same) {
        vmware_machine_free(frozen);
        return err_set(err, ERR_CONFLICT,
                       "%s: its disks were changed while the snapshot %s was made: start again",
                       now->name, v->snapshot_name);
    }
    vmware_machine_free(v->machine);
    v->machine = frozen;
    return 0;
}

static enum vmware_quiesce
wanted_quiesce(const struct vsphere_source *v)
{
    const struct job_warm *warm = &v->source.job->warm;
    if (!warm->wanted || warm->quiesce == JOB_QUIESCE_NO || !vsphere_is_running(v))
        return VMWARE_QUIESCE_NO;
    if (warm->quiesce == JOB_QUIESCE_MUST)
        return VMWARE_QUIESCE_MUST;
    return v->machine->tools_running ? VMWARE_QUIESCE_TRY : VMWARE_QUIESCE_NO;
}

static int
make_snapshot(struct vsphere_source *v, struct state *state, struct err *err)
{
    struct vmware_snapshot_made made;
    char description[256], host[65] = "";
    gethostname(host, sizeof host - 1);
    snprintf(description, sizeof description,
             "made by vmferry on %s to copy the disks; removed when they are copied", host);
    bool named = v->snapshot_name[0]; /* of a run that was killed while it was being made */
    if ((!named && vsphere_make_name(v->snapshot_name, err) < 0) ||
        write_journal(v, state, ENGINE_BEGIN, err) < 0)
        return -1;
    /* A wish to stop waits: what is half made could not be removed. */
    vmware_set_cancelled(v->session, NULL, NULL);
    int r = vmware_snapshot_create(v->session, v->machine->moref, v->snapshot_name, description,
                                   wanted_quiesce(v), &made, err);
    vmware_set_cancelled(v->session, source_cancelled, &v->source);
    if (r < 0) {
        v->uncertain = err->kind == ERR_UNAVAILABLE || err->kind == ERR_CANCELLED ||
                       !*vmware_last_fault(v->session);
        return -1;
    }
    snprintf(v->snapshot, sizeof v->snapshot, "%s", made.moref);
    source_log(&v->source, LOG_LEVEL_INFO, "snapshot", "%s %s holds the disks of %s still",
               made.found ? "the snapshot" : "the new snapshot", v->snapshot_name,
               v->machine->name);
    if (made.why_not[0])
        source_log(&v->source, LOG_LEVEL_WARNING, "not-quiesced",
                   "the guest could not be quiesced, so the snapshot holds what a power failure "
                   "would have left: %s",
                   made.why_not);
    return write_journal(v, state, ENGINE_DONE, err);
}

int
vsphere_freeze(struct vsphere_source *v, struct state *state, struct err *err)
{
    if (v->snapshot[0])
        return 0;
    return make_snapshot(v, state, err) < 0 ? -1 : read_frozen(v, err);
}

static int
vsphere_open(struct source *src, struct state *state, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    if (vsphere_hold(v, state, err) < 0)
        return -1;
    return vsphere_is_running(v) ? vsphere_freeze(v, state, err) : 0;
}

/* ---- what an earlier run left ---- */

static const struct vmware_snapshot *
find_snapshot(const struct vsphere_source *v, const char *name)
{
    for (size_t i = 0; i < v->machine->n_snapshots; i++)
        if (strcmp(v->machine->snapshots[i].name, name) == 0)
            return &v->machine->snapshots[i];
    return NULL;
}

bool
vsphere_has_foreign_snapshots(const struct vsphere_source *v)
{
    for (size_t i = 0; i < v->machine->n_snapshots; i++)
        if (!vmware_snapshot_is_ours(v->machine->snapshots[i].name))
            return true;
    return false;
}

static void
warn_of_others(struct vsphere_source *v)
{
    const struct vmware_machine *m = v->machine;
    for (size_t i = 0; i < m->n_snapshots; i++)
        if (vmware_snapshot_is_ours(m->snapshots[i].name) &&
            strcmp(m->snapshots[i].name, v->snapshot_name) != 0)
            source_log(&v->source, LOG_LEVEL_WARNING, "foreign-snapshot",
                       "%s has a snapshot of vmferry, %s of %s, that is not of this migration: "
                       "when no other is under way, remove it in the vSphere client",
                       m->name, m->snapshots[i].name, m->snapshots[i].created);
}

int
vsphere_read_again(struct vsphere_source *v, struct err *err)
{
    struct vmware_machine *now = NULL;
    const char *frozen = v->snapshot[0] ? v->snapshot : NULL;
    if (vmware_machine_read(v->session, v->machine->moref, frozen, &now, err) < 0)
        return -1;
    vmware_machine_free(v->machine);
    v->machine = now;
    return 0;
}

/* Of a warm migration what was frozen is good until its round has ended, whatever the machine does
 * meanwhile. */
static bool
wants_frozen(const struct vsphere_source *v, const struct state *state)
{
    const struct job *job = v->source.job;
    if (job->warm.wanted)
        return json_is_object(json_object_get(state->json, ROUND_STATE));
    return job->vsphere.snapshot && vsphere_is_running(v);
}

static int
vsphere_recall(struct source *src, struct state *state, bool drop, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    const json_t *journal = json_object_get(state->json, STATE_SOURCE);
    const char *name = json_get_str(journal, "snapshot", "");
    const char *machine = json_get_str(journal, "machine", "");
    const char *server = json_get_str(journal, "server", "");
    if (vsphere_let_go(v, state, err) < 0)
        return -1;
    if (!journal) {
        warn_of_others(v);
        return 0;
    }
    if (strcmp(machine, v->machine->moref) != 0 || strcmp(server, v->server_id) != 0)
        return err_set(err, ERR_CONFLICT,
                       "an earlier migration of this name left the snapshot %s on %s of %s, which "
                       "is another machine: give its command again, or this machine another name "
                       "with -on",
                       name, machine, server);
    snprintf(v->snapshot_name, sizeof v->snapshot_name, "%s", name);
    warn_of_others(v);
    const struct vmware_snapshot *left = find_snapshot(v, name);
    bool wanted = !drop && !state_is(state, STATE_COPIED) && wants_frozen(v, state);
    const char *known = json_get_str(journal, "snapshot_moref", "");
    snprintf(v->snapshot, sizeof v->snapshot, "%s", left ? left->moref : known);
    if (left && wanted) {
        source_log(src, LOG_LEVEL_INFO, "snapshot", "goes on from the snapshot %s of %s", name,
                   left->created);
        return read_frozen(v, err);
    }
    if (left)
        source_log(src, LOG_LEVEL_INFO, "snapshot",
                   "removing the snapshot %s, which an earlier run left", name);
    /* One that was being made when we were killed may only now be there: it keeps its name. */
    if (!left && !*known && wanted)
        return 0;
    if (!left && !*known && wait_for_snapshot(v, err) < 0)
        return -1;
    return vsphere_remove_snapshot(v, state, err) < 0 ? -1 : vsphere_read_again(v, err);
}

/* One that was being made when the earlier run was killed takes the server some seconds. */
static int
wait_for_snapshot(struct vsphere_source *v, struct err *err)
{
    int64_t deadline_ns = clock_now_ns() + LATE_SNAPSHOT_NS;
    while (!v->snapshot[0] && clock_now_ns() < deadline_ns) {
        if (source_cancelled(&v->source))
            return err_set(err, ERR_CANCELLED, "stopped on request");
        if (look_for_snapshot(v, err) < 0)
            return -1;
        if (!v->snapshot[0])
            clock_sleep_until_ns(clock_now_ns() + NS_PER_S);
    }
    return 0;
}

/* ---- letting go ---- */

static int
look_for_snapshot(struct vsphere_source *v, struct err *err)
{
    struct vmware_snapshot_ours ours[VMWARE_SNAPSHOTS_OURS_MAX];
    size_t n = 0;
    if (vmware_snapshot_find(v->session, v->machine->moref, v->snapshot_name, ours, &n, err) < 0)
        return err_prefix(err, "look for the snapshot %s", v->snapshot_name);
    if (n > 0)
        snprintf(v->snapshot, sizeof v->snapshot, "%s", ours[0].moref);
    return 0;
}

int
vsphere_remove_snapshot(struct vsphere_source *v, struct state *state, struct err *err)
{
    /* Made, and then the connection was lost, or we were killed. */
    if (!v->snapshot[0] && look_for_snapshot(v, err) < 0)
        return -1;
    if (!v->snapshot[0] && v->uncertain)
        return err_set(err, ERR_UNAVAILABLE,
                       "it is not known whether the snapshot %s is still being made",
                       v->snapshot_name);
    if (v->snapshot[0] && vmware_snapshot_remove(v->session, v->machine->moref, v->snapshot,
                                                 v->snapshot_name, err) < 0)
        return err_prefix(err, "the snapshot %s is still there", v->snapshot_name);
    bool was_there = v->snapshot[0] != '\0';
    json_t *ops = json_pack("[o, o]", op_put(STATE_SOURCE, NULL),
                            op_object("snapshot", v->snapshot_name, "gone", NULL));
    /* What was read from it cannot be read again; a warm migration has other means (engine/round).
     */
    bool lost = was_there && !v->source.job->warm.wanted && !state_is(state, STATE_COPIED);
    if (lost && ops && json_array_append_new(ops, op_put("content", json_string(""))) < 0) {
        json_decref(ops);
        ops = NULL;
    }
    v->snapshot[0] = v->snapshot_name[0] = '\0';
    return state_apply(state, ENGINE_DONE, "snapshot", ops, err);
}

/* Nobody's wish to stop stops this. */
static int
vsphere_close(struct source *src, struct state *state, bool complete, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    (void)complete;
    vsphere_reads_end(v);
    if (!v->session)
        return 0;
    vmware_set_cancelled(v->session, NULL, NULL);
    struct err lease_err = ERR_INIT, hold_err = ERR_INIT;
    int r = 0;
    if (v->lease &&
        vmware_lease_abort(v->lease, "vmferry: the export was not finished", &lease_err) < 0)
        source_log(src, LOG_LEVEL_WARNING, "lease", "%s", lease_err.text);
    vmware_lease_free(TAKE_PTR(v->lease));
    if (source_left_behind(state) && v->snapshot_name[0])
        r = vsphere_remove_snapshot(v, state, err);
    if (vsphere_let_go(v, state, &hold_err) < 0) {
        if (r == 0)
            *err = hold_err;
        r = -1;
    }
    if (r == 0) {
        vmware_logout(v->session);
        v->session = NULL;
    }
    return r;
}

static bool
vsphere_is_random_access(const struct source *src)
{
    (void)src;
    return false;
}

static const struct source_ops vsphere_ops = {
    .describe = vsphere_describe,
    .recall = vsphere_recall,
    .check = vsphere_check,
    .disk_identity = vsphere_disk_identity,
    .content = vsphere_content,
    .open = vsphere_open,
    .is_random_access = vsphere_is_random_access,
    .begin_disk = vsphere_begin_disk,
    .tick = vsphere_tick,
    .need = vsphere_need,
    .end_disk = vsphere_end_disk,
    .fall_back = vsphere_fall_back,
    .finish = vsphere_finish,
    .close = vsphere_close,
    .free = vsphere_free,
};
