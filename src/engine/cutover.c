#include "engine/cutover.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "engine/live.h"
#include "engine/placement.h"

#define ASK_AGAIN_S 10 /* how soon a machine that somebody is to switch off is looked at again */
#define POWER_OBJECT "source"

/* Until the hypervisor has written what a guest left behind. */
#define SETTLE_WINDOWS_S 30
#define SETTLE_S 15

static int switch_off(struct migration *m, const struct live_machine *machine, bool force,
                      struct err *err);
static int note_begin(struct migration *m, const struct live_machine *machine, struct err *err);
static int note_off(struct migration *m, int64_t begun_ns, struct err *err);
static json_t *ops_of_back(const struct migration *m);

bool
cutover_is_begun(const struct migration *m)
{
    return json_is_object(json_object_get(m->state.json, CUTOVER_STATE));
}

static bool
is_final(const json_t *state)
{
    return json_get_bool(state, STATE_STARTING, false) ||
           json_get_bool(state, STATE_ARRIVED, false);
}

bool
cutover_is_final(const struct migration *m)
{
    return is_final(m->state.json);
}

bool
cutover_was_begun(const json_t *state)
{
    return json_is_object(json_object_get(state, CUTOVER_STATE)) && !is_final(state);
}

/* ---- off ---- */

int
cutover_settle_s(const struct migration *m)
{
    struct live_machine machine;
    if (m->job->warm.settle_s >= 0)
        return (int)m->job->warm.settle_s;
    m->source->live->machine(m->source, &machine);
    return machine.windows ? SETTLE_WINDOWS_S : SETTLE_S;
}

static int
ask(struct migration *m, const struct live_machine *machine, const char *why)
{
    return migration_ask(m, "shutdown", ASK_AGAIN_S,
                         "%s has to be switched off now, and %s: shut the guest down yourself and "
                         "answer 'done', or answer 'force' to have it powered off",
                         machine->name, why);
}

/* Between our switching it off and now somebody has switched it on: that is a decision of theirs,
 * and an old wish of ours does not undo it. */
static int
check_not_woken(struct migration *m, const struct live_machine *machine, struct err *err)
{
    const json_t *cut = json_object_get(m->state.json, CUTOVER_STATE);
    const char *then = json_get_str(cut, "boot_time", "");
    bool same = !*then || !*machine->boot_time || strcmp(then, machine->boot_time) == 0;
    if (!cut || (same && !json_object_get(cut, "off_at")))
        return 0;
    if (state_apply(&m->state, ENGINE_NOTE, NULL, ops_of_back(m), err) < 0)
        return -1;
    return err_set(err, ERR_CONFLICT,
                   "%s: was switched on again after this migration had switched it off: it goes on "
                   "with its rounds; finalize it again when it may be switched off",
                   machine->name);
}

int
cutover_switch_off(struct migration *m, struct err *err)
{
    const struct live_ops *live = m->source->live;
    enum engine_answer answer = migration_wishes(m)->shutdown;
    struct live_machine machine;
    if (live->refresh(m->source, err) < 0)
        return -1;
    live->machine(m->source, &machine);
    if (machine.power == LIVE_OFF)
        return note_off(m, -1, err);
    if (machine.power == LIVE_SUSPENDED)
        return err_set(err, ERR_CONFLICT,
                       "%s: is suspended, and its disks are those of a guest in full run: resume "
                       "it",
                       machine.name);
    if (check_not_woken(m, &machine, err) < 0)
        return -1;
    bool force = m->job->warm.shutdown == JOB_SHUTDOWN_FORCE || answer == ENGINE_ANSWER_FORCE;
    if (!force && m->job->warm.shutdown == JOB_SHUTDOWN_MANUAL)
        return ask(m, &machine, "this migration leaves that to somebody");
    if (!force && !machine.tools && !cutover_is_begun(m))
        return ask(m, &machine, "VMware Tools do not run in the guest, so it cannot be asked to");
    /* Its tools end before the guest is down; begun without them it was answered to be forced. */
    return switch_off(m, &machine, force || !machine.tools, err);
}

static int
switch_off(struct migration *m, const struct live_machine *machine, bool force, struct err *err)
{
    const struct live_ops *live = m->source->live;
    struct err why = ERR_INIT;
    bool again = cutover_is_begun(m);
    if (note_begin(m, machine, err) < 0)
        return -1;
    int64_t begun_ns = again ? -1 : clock_now_ns();
    if (!force) {
        migration_say(m, "Shutting down %s", machine->name);
        int r = live->shut_down(m->source, &why);
        if (r == 0)
            return note_off(m, begun_ns, err);
        if (why.kind != ERR_UNAVAILABLE) {
            *err = why;
            return -1;
        }
        migration_log(m, LOG_LEVEL_WARNING, "shutdown-late",
                      "the guest did not shut down, so it is powered off: %s", why.text);
    }
    migration_say(m, "Powering off %s", machine->name);
    if (live->power_off(m->source, err) < 0)
        return -1;
    return note_off(m, begun_ns, err);
}

static int
note_begin(struct migration *m, const struct live_machine *machine, struct err *err)
{
    if (cutover_is_begun(m))
        return 0;
    json_t *ops = json_pack(
        "[o, o]",
        op_put(CUTOVER_STATE, json_pack("{s:I, s:s}", "begun_at", (json_int_t)clock_wall_s(),
                                        "boot_time", machine->boot_time)),
        op_object("power-off", POWER_OBJECT, "planned",
                  json_pack("{s:s}", "machine", machine->moref)));
    return state_apply(&m->state, ENGINE_BEGIN, "power-off", ops, err);
}

/* It is off: by us, when we had begun, or by somebody else. begun_ns: clock_now_ns; -1: nobody has
 * seen all of it. */
static int
note_off(struct migration *m, int64_t begun_ns, struct err *err)
{
    const json_t *cut = json_object_get(m->state.json, CUTOVER_STATE);
    if (!cut || json_object_get(cut, "off_at"))
        return 0;
    auto_json json_t *off = json_deep_copy(cut);
    json_object_set_new(off, "off_at", json_integer(clock_wall_s()));
    json_t *ops = json_pack("[o, o]", op_put(CUTOVER_STATE, TAKE_PTR(off)),
                            op_object("power-off", POWER_OBJECT, "made", NULL));
    json_int_t shutdown_s = (json_int_t)((clock_now_ns() - begun_ns) / NS_PER_S);
    if (begun_ns >= 0 &&
        json_array_append_new(ops, op_put(CUTOVER_SHUTDOWN_S, json_integer(shutdown_s))) < 0) {
        json_decref(ops);
        ops = NULL;
    }
    return state_apply(&m->state, ENGINE_DONE, "power-off", ops, err);
}

/* ---- back to rounds ---- */

/* As if there had been no cutover: what was made of the copies is not to be taken for theirs. NULL
 * without memory. */
static json_t *
ops_of_back(const struct migration *m)
{
    static const char *const made[] = {
        CUTOVER_STATE,    STATE_COPIED,    STATE_CONVERTED,
        STATE_COMMITTING, STATE_NO_VIRTIO, STATE_CONVERSION,
    };
    json_t *ops = json_pack("[o, o]", op_clear_wishes(),
                            op_put(CUTOVER_TRIED, json_integer(m->job->warm.finalize_at)));
    bool failed = !ops;
    for (size_t i = 0; !failed && i < ARRAY_LEN(made); i++)
        failed = json_array_append_new(ops, op_put(made[i], NULL)) < 0;
    if (!failed && cutover_is_begun(m))
        failed = json_array_append_new(ops, op_object("power-off", POWER_OBJECT, "gone", NULL)) < 0;
    if (!failed)
        return ops;
    json_decref(ops);
    return NULL;
}

int
cutover_check_off(struct migration *m, struct err *err)
{
    const struct live_ops *live = m->source->live;
    struct live_machine machine;
    if (cutover_is_final(m))
        return 0;
    if (live->refresh(m->source, err) < 0)
        return -1;
    live->machine(m->source, &machine);
    if (machine.power == LIVE_OFF)
        return 0;
    if (placement_take_back(m, err) < 0)
        return err_prefix(err, "%s was switched on again at the source", machine.name);
    if (state_apply(&m->state, ENGINE_NOTE, NULL, ops_of_back(m), err) < 0)
        return -1;
    return err_set(err, ERR_CONFLICT,
                   "%s: was switched on again after its disks had been copied for the last time: "
                   "it goes on with its rounds; finalize it again when it may be switched off",
                   machine.name);
}

static int
switch_on(struct migration *m, struct err *err)
{
    json_t *ops = json_pack("[o]", op_object("power-on", POWER_OBJECT, "planned", NULL));
    if (state_apply(&m->state, ENGINE_BEGIN, "power-on", ops, err) < 0 ||
        m->source->live->power_on(m->source, err) < 0)
        return err_prefix(err, "the source is still off");
    return 0;
}

/* That the source runs again matters more than files of ours that cannot be moved; those are tried
 * again with the next run. */
int
cutover_take_back(struct migration *m, bool *ret_on, struct err *err)
{
    struct err placed = ERR_INIT;
    *ret_on = false;
    if (!cutover_was_begun(m->state.json))
        return 0;
    int r = placement_take_back(m, &placed);
    if (r == 0 || placed.kind != ERR_CONFLICT) {
        if (m->job->warm.power_on_after_failure && switch_on(m, err) < 0)
            return -1;
        *ret_on = m->job->warm.power_on_after_failure;
    }
    if (r < 0) {
        *err = placed;
        return -1;
    }
    json_t *ops = ops_of_back(m);
    json_t *on = op_object("power-on", POWER_OBJECT, *ret_on ? "made" : "gone", NULL);
    if (!ops || json_array_append(ops, on) < 0) {
        json_decref(ops);
        ops = NULL;
    }
    json_decref(on);
    return state_apply(&m->state, ENGINE_DONE, "power-on", ops, err);
}
