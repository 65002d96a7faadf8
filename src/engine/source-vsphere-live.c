/* A machine of vSphere while it runs: tracking of changed blocks, snapshots one after another, and
 * its power.
 *
 * Tracking that begins while there are snapshots gives incomplete answers without an error, and
 * whether it did nobody can tell afterwards; so with snapshots of others there is no tracking, and
 * whole disks are compared instead.
 */
#include <stdio.h>
#include <string.h>

#include "engine/live.h"
#include "engine/source-vsphere.h"
#include "vmware/cbt.h"
#include "vmware/power.h"

#define TRACKING_BEGUN "tracking_begun" /* key of the state: we were about to turn it on */
#define CBT_OBJECT "changeTrackingEnabled"

static int decide(struct vsphere_source *v, struct state *state, struct err *err);
static int turn_on(struct vsphere_source *v, struct state *state, struct err *err);

/* ---- how it is ---- */

static int
live_refresh(struct source *src, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    if (vsphere_login(v, err) < 0)
        return -1;
    v->tick_err = ERR_INIT;
    if (vsphere_read_again(v, err) < 0)
        return -1;
    const struct vm *vm = src->vm;
    bool same = v->machine->n_disks == vm->n_disks;
    for (size_t i = 0; same && i < vm->n_disks; i++)
        same = v->machine->disks[i].capacity_bytes == vm->disks[i].capacity_bytes;
    if (same)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "%s: its disks were changed at this moment: they are looked at again",
                   v->machine->name);
}

static void
live_machine(const struct source *src, struct live_machine *ret)
{
    static const enum live_power powers[] = {
        [VMWARE_POWERED_OFF] = LIVE_OFF,
        [VMWARE_POWERED_ON] = LIVE_ON,
        [VMWARE_SUSPENDED] = LIVE_SUSPENDED,
    };
    const struct vsphere_source *v = to_vsphere(src);
    const struct vmware_machine *m = v->machine;
    *ret = (struct live_machine){
        .name = m->name,
        .moref = m->moref,
        .uuid = *m->instance_uuid ? m->instance_uuid
                : src->vm->uuid   ? src->vm->uuid
                                  : "",
        .server = v->server_id,
        .host = *m->host_name ? m->host_name : v->server_id,
        .boot_time = m->boot_time,
        .power = powers[m->power],
        .tools = m->tools_running,
        .windows = strcasestr(m->guest_id, "win") && !strcasestr(m->guest_id, "darwin"),
    };
}

static int
live_disk_key(const struct source *src, size_t i)
{
    return to_vsphere(src)->machine->disks[i].key;
}

/* ---- tracking ---- */

static int
live_track(struct source *src, struct state *state, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    const json_t *decided = json_object_get(state->json, LIVE_TRACKING);
    if (!decided)
        return decide(v, state, err);
    v->tracked = json_get_bool(decided, "on", false);
    return 0;
}

static int
remember(struct vsphere_source *v, struct state *state, bool on, bool by_us, const char *why,
         struct err *err)
{
    v->tracked = on;
    if (!on)
        source_log(&v->source, LOG_LEVEL_WARNING, "no-tracking",
                   "what changes on the disks of %s is found by reading them whole in each round, "
                   "for %s",
                   v->machine->name, why);
    return state_put(state, LIVE_TRACKING,
                     json_pack("{s:b, s:b, s:s}", "on", on, "by_us", by_us, "why", why), err);
}

static int
decide(struct vsphere_source *v, struct state *state, struct err *err)
{
    const struct vmware_machine *m = v->machine;
    bool begun = json_get_bool(state->json, TRACKING_BEGUN, false);
    if (!m->cbt_supported)
        return remember(v, state, false, false, "vSphere cannot track the changes of this machine",
                        err);
    if (!begun && vsphere_has_foreign_snapshots(v))
        return remember(v, state, false, false,
                        "it has snapshots, under which tracking cannot be relied on", err);
    if (m->cbt_enabled && !begun)
        return remember(v, state, true, false, "", err);
    return turn_on(v, state, err);
}

/* On a machine that runs it begins with the next moment of standing still: a snapshot that is made
 * and removed. */
static int
turn_on(struct vsphere_source *v, struct state *state, struct err *err)
{
    bool now;
    if (state_apply(state, ENGINE_BEGIN, "cbt",
                    json_pack("[o, o]", op_put(TRACKING_BEGUN, json_true()),
                              op_object("cbt", CBT_OBJECT, "planned", NULL)),
                    err) < 0 ||
        vmware_cbt_enable(v->session, v->machine->moref, &now, err) < 0 ||
        state_apply(state, ENGINE_DONE, "cbt",
                    json_pack("[o]", op_object("cbt", CBT_OBJECT, "made", NULL)), err) < 0)
        return -1;
    source_log(&v->source, LOG_LEVEL_INFO, "tracking",
               "changed block tracking of %s is on; it is turned off again at the end",
               v->machine->name);
    if (vsphere_is_running(v) &&
        (vsphere_freeze(v, state, err) < 0 || vsphere_remove_snapshot(v, state, err) < 0))
        return -1;
    if (vsphere_read_again(v, err) < 0)
        return -1;
    return remember(v, state, true, true, "", err);
}

static int
live_untrack(struct source *src, struct state *state, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    const json_t *decided = json_object_get(state->json, LIVE_TRACKING);
    bool by_us = decided ? json_get_bool(decided, "by_us", false)
                         : json_get_bool(state->json, TRACKING_BEGUN, false);
    if (!by_us)
        return 0;
    if (vsphere_login(v, err) < 0 || vmware_cbt_disable(v->session, v->machine->moref, err) < 0)
        return err_prefix(err, "changed block tracking of %s is still on", v->machine->name);
    return state_apply(state, ENGINE_DONE, "cbt",
                       json_pack("[o, o, o]", op_put(LIVE_TRACKING, NULL),
                                 op_put(TRACKING_BEGUN, NULL),
                                 op_object("cbt", CBT_OBJECT, "gone", NULL)),
                       err);
}

/* ---- a moment of standing still ---- */

static int
live_freeze(struct source *src, struct state *state, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    bool held = json_object_get(state->json, SOURCE_HOLD) != NULL;
    if (!held && vsphere_hold(v, state, err) < 0)
        return -1;
    return vsphere_freeze(v, state, err);
}

static int
live_thaw(struct source *src, struct state *state, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    vsphere_reads_end(v);
    /* Nobody's wish to stop stops this. */
    vmware_set_cancelled(v->session, NULL, NULL);
    int r = v->snapshot_name[0] ? vsphere_remove_snapshot(v, state, err) : 0;
    if (r == 0)
        r = vsphere_let_go(v, state, err);
    vmware_set_cancelled(v->session, source_cancelled, src);
    return r;
}

static const char *
live_epoch(const struct source *src, size_t i)
{
    const struct vsphere_source *v = to_vsphere(src);
    return v->tracked ? v->machine->disks[i].change_id : "";
}

static int
live_areas(struct source *src, size_t i, const char *since,
           int (*each)(uint64_t start, uint64_t length, void *arg, struct err *err), void *arg,
           enum live_answer *ret, char why[512], struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    const struct vmware_disk *disk = &v->machine->disks[i];
    struct vmware_cbt_query query = {
        .machine_moref = v->machine->moref,
        .snapshot_moref = v->snapshot[0] ? v->snapshot : NULL,
        .disk_key = disk->key,
        .capacity_bytes = disk->capacity_bytes,
        .change_id = since,
    };
    *ret = LIVE_RESET;
    if (!v->tracked || !*since || !*disk->change_id) {
        snprintf(why, 512, "its changes are not tracked");
        return 0;
    }
    if (!vmware_change_id_follows(since, disk->change_id)) {
        snprintf(why, 512, "tracking was reset at the source (it was at %.100s and is at %.100s)",
                 since, disk->change_id);
        return 0;
    }
    enum vmware_cbt_answer answer;
    if (vmware_cbt_areas(v->session, &query, each, arg, &answer, why, err) < 0)
        return -1;
    *ret = answer == VMWARE_CBT_GIVEN ? LIVE_AREAS : LIVE_RESET;
    return 0;
}

/* ---- power ---- */

static int
live_shut_down(struct source *src, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    return vmware_shutdown_guest(v->session, v->machine->moref, 0, err);
}

static int
live_power_off(struct source *src, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    return vmware_power_off(v->session, v->machine->moref, err);
}

static int
live_power_on(struct source *src, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    if (vsphere_login(v, err) < 0)
        return -1;
    vmware_set_cancelled(v->session, NULL, NULL);
    return vmware_power_on(v->session, v->machine->moref, err);
}

static int
live_confirm_off(struct source *src, int seconds, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    return vmware_power_confirm_off(v->session, v->machine->moref, seconds, err);
}

const struct live_ops vsphere_live_ops = {
    .refresh = live_refresh,
    .machine = live_machine,
    .disk_key = live_disk_key,
    .track = live_track,
    .untrack = live_untrack,
    .freeze = live_freeze,
    .thaw = live_thaw,
    .epoch = live_epoch,
    .areas = live_areas,
    .shut_down = live_shut_down,
    .power_off = live_power_off,
    .power_on = live_power_on,
    .confirm_off = live_confirm_off,
};
