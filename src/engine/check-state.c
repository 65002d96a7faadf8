/* Rules about the state that a machine is in: somebody can change it at the source. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/size.h"
#include "engine/check-rule.h"

#define OLDEST_CBT_VERSION 7 /* vmx-07 */

static void
look_connection(struct check *c)
{
    static const char *const words[] = {
        [VMWARE_DISCONNECTED] = "is on a host that vCenter has lost",
        [VMWARE_ORPHANED] = "is orphaned: its host does not know it any more",
        [VMWARE_INACCESSIBLE] = "is inaccessible: its files cannot be read",
        [VMWARE_INVALID] = "is invalid: its configuration cannot be read",
    };
    enum vmware_connection connection = c->m->connection;
    if (connection != VMWARE_CONNECTED)
        check_say(c, NULL, "the machine %s", words[connection]);
    else if (!c->m->config_present)
        check_say(c, NULL, "vSphere gives no configuration of the machine");
}

static void
look_suspended(struct check *c)
{
    if (c->m->power == VMWARE_SUSPENDED)
        check_say(c, NULL, "the machine is suspended");
}

static void
look_running(struct check *c)
{
    if (c->m->power != VMWARE_POWERED_ON)
        return;
    if (c->context->now && !c->context->snapshot)
        check_say(c, NULL, "the machine is running");
    else if (c->context->now)
        check_say_at(c, CHECK_WARNING, CHECK_NONE, NULL,
                     "the machine is running and is read from a snapshot");
    else
        check_say_at(c, CHECK_INFO, CHECK_NONE, NULL, "the machine is running");
}

static void
look_question(struct check *c)
{
    if (c->m->question)
        check_say(c, NULL, "the machine waits for an answer: %.300s", c->m->question);
}

static void
look_tools(struct check *c)
{
    if (c->m->power == VMWARE_POWERED_ON && !c->m->tools_running)
        check_say(c, NULL, "VMware Tools do not run in the guest");
}

static void
look_template(struct check *c)
{
    if (c->m->template)
        check_say(c, NULL, "it is a template");
}

static void
look_fault_tolerance(struct check *c)
{
    if (c->m->fault_tolerance)
        check_say(c, NULL, "fault tolerance is on");
}

static void
look_consolidation(struct check *c)
{
    if (c->m->consolidation_needed)
        check_say(c, NULL, "vSphere says that its disks need consolidation");
}

static bool
is_ours(const struct check *c, const struct vmware_snapshot *snapshot)
{
    const char *ours = c->context->ours;
    return ours && strncmp(snapshot->name, ours, strlen(ours)) == 0;
}

static void
look_snapshots(struct check *c)
{
    const char *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < c->m->n_snapshots; i++) {
        if (is_ours(c, &c->m->snapshots[i]))
            continue;
        first = first ? first : c->m->snapshots[i].name;
        n++;
    }
    if (n == 0)
        return;
    check_say_at(c, CHECK_INFO, CHECK_WARNING, NULL,
                 "%zu snapshot%s, the first is \"%.100s\"; changed block tracking is %s", n,
                 n == 1 ? "" : "s", first, c->m->cbt_enabled ? "on" : "off");
}

static void
look_cbt(struct check *c)
{
    if (c->m->config_present && c->m->cbt_supported && !c->m->cbt_enabled &&
        c->m->hw_version >= OLDEST_CBT_VERSION && !c->m->template)
        check_say(c, NULL, "changed block tracking is off");
}

static void
look_instant_clone(struct check *c)
{
    if (c->m->instant_clone_frozen)
        check_say(c, NULL, "the machine is the frozen parent of instant clones");
}

static void
look_crypto_locked(struct check *c)
{
    if (c->m->crypto_locked)
        check_say(c, NULL, "the machine is encrypted and locked");
}

const struct check_rule check_state_rules[] = {
    { "not-connected", CHECK_ERROR, CHECK_ERROR, look_connection,
      "its disks cannot be found, read or frozen",
      "bring its host back, or register the machine again, until vSphere shows it as connected" },
    { "suspended", CHECK_ERROR, CHECK_ERROR, look_suspended,
      "its disks are those of a guest in full run, and its memory cannot be taken along",
      "resume it and shut the guest down, or power it off by your own decision" },
    { "running", CHECK_ERROR, CHECK_NONE, look_running,
      "a cold migration takes the disks of a machine that is off; from a snapshot of a running one "
      "they are as after a power failure",
      "shut the guest down, or have it read from a snapshot (--snapshot)" },
    { "question", CHECK_ERROR, CHECK_ERROR, look_question,
      "until it is answered vSphere does nothing else with this machine",
      "answer it in the vSphere client" },
    { "tools-not-running", CHECK_NONE, CHECK_WARNING, look_tools,
      "the guest cannot be shut down cleanly from outside when it is time to switch over",
      "start or install VMware Tools (open-vm-tools), or shut the guest down yourself" },
    { "template", CHECK_INFO, CHECK_ERROR, look_template,
      "a template is read as it lies; it can neither be started nor frozen by a snapshot",
      "migrate it cold, or turn it into a machine first" },
    { "fault-tolerance", CHECK_ERROR, CHECK_ERROR, look_fault_tolerance,
      "vSphere refuses snapshots and exports of such machines", "turn fault tolerance off first" },
    { "consolidation-needed", CHECK_WARNING, CHECK_ERROR, look_consolidation,
      "files of removed snapshots are still in use: they grow, and reads may meet a broken chain",
      "consolidate the disks in the vSphere client first (Snapshots, Consolidate)" },
    { "snapshots", CHECK_INFO, CHECK_WARNING, look_snapshots,
      "a migration takes the machine as it is now, not its snapshots; changed block tracking that "
      "is turned on, or was, while there are snapshots gives incomplete answers without an error, "
      "so a warm migration reads whole disks in each round instead",
      "for a warm migration with quick rounds remove the snapshots first; VDDK and export read "
      "through them" },
    { "cbt-off", CHECK_NONE, CHECK_INFO, look_cbt,
      "a warm migration turns it on, which freezes the guest for a moment",
      "nothing to do; or turn it on yourself beforehand, while there are no snapshots" },
    { "instant-clone-parent", CHECK_ERROR, CHECK_ERROR, look_instant_clone,
      "a frozen machine can neither run on nor be frozen by a snapshot",
      "migrate its clones instead, or remove them and unfreeze it" },
    { "encryption-locked", CHECK_ERROR, CHECK_ERROR, look_crypto_locked,
      "the host has no key for it, so nobody can read its disks",
      "give the host its key (Unlock VM in the vSphere client), and look at the key provider" },
    { 0 },
};
