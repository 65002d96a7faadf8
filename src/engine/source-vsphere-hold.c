/* Storage vMotion is held off while the disks of a machine are read: it would change their paths,
 * and end what reads by them. Only where the user may do so; nothing depends on it.
 *
 * The name of the hold is in the state before it is made, and goes when the server has taken it
 * back: vCenter itself never ends one.
 */
#include <string.h>

#include "engine/source-vsphere.h"
#include "vmware/hold.h"

_Static_assert(VSPHERE_NAME_MAX <= VMWARE_HOLD_NAME_MAX, "the name of a hold");

int
vsphere_hold(struct vsphere_source *v, struct state *state, struct err *err)
{
    char name[VSPHERE_NAME_MAX], why[VMWARE_HOLD_WHY_MAX] = "";
    const char *machine = v->machine->moref;
    bool possible, held = false;
    if (vmware_hold_possible(v->session, machine, &possible, why, err) < 0)
        return -1;
    if (possible) {
        if (vsphere_make_name(name, err) < 0 ||
            state_put(state, SOURCE_HOLD,
                      json_pack("{s:s, s:s, s:s}", "server", v->server_id, "machine", machine,
                                "name", name),
                      err) < 0 ||
            vmware_hold(v->session, machine, name, &held, why, err) < 0)
            return -1;
    }
    if (held) {
        source_log(&v->source, LOG_LEVEL_DEBUG, "hold", "storage vMotion of %s is held off by %s",
                   v->machine->name, name);
        return 0;
    }
    source_log(&v->source, LOG_LEVEL_DEBUG, "hold", "storage vMotion of %s is not held off: %s",
               v->machine->name, why);
    return state_drop(state, SOURCE_HOLD, err);
}

int
vsphere_let_go(struct vsphere_source *v, struct state *state, struct err *err)
{
    const json_t *hold = json_object_get(state->json, SOURCE_HOLD);
    const char *server = json_get_str(hold, "server", "");
    const char *machine = json_get_str(hold, "machine", "");
    const char *name = json_get_str(hold, "name", "");
    if (!hold)
        return 0;
    if (strcmp(server, v->server_id) != 0)
        return err_set(err, ERR_CONFLICT,
                       "an earlier migration of this name holds off storage vMotion of %s of %s "
                       "(%s), which is another server: give its command again, or this machine "
                       "another name with -on",
                       machine, server, name);
    if (vmware_hold_release(v->session, machine, name, err) < 0)
        return err_prefix(err, "storage vMotion of %s is still held off by %s", machine, name);
    return state_drop(state, SOURCE_HOLD, err);
}
