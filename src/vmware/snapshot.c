#include "vmware/snapshot.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/machine-read.h"
#include "vmware/machine-task.h"
#include "vmware/task.h"

#define CREATE_S 1800
#define REMOVE_S (24 * 3600) /* merging a large delta takes hours */
#define BUSY_TRIES 6
#define BUSY_PAUSE_MS 2000

/* ---- the machine's snapshots ---- */

struct tree {
    struct soap_reply reply;
    struct object object;
};

static void
tree_done(struct tree *tree)
{
    soap_reply_free(&tree->reply);
}
#define auto_tree AUTO(tree_done)

static int
read_tree(struct vmware_session *session, const char *machine, const char *what, struct tree *tree,
          struct err *err)
{
    static const char *const paths[] = { "name", "snapshot", "recentTask",
                                         "runtime.consolidationNeeded", NULL };
    soap_reply_free(&tree->reply);
    return property_read(session, "VirtualMachine", machine, paths, what, &tree->reply,
                         &tree->object, err);
}

/* Every node, parents first: the one after `node`. */
static const struct xml_node *
next_snapshot(const struct tree *tree, const struct xml_node *node)
{
    if (!node)
        return object_get(&tree->object, "snapshot.rootSnapshotList");
    const struct xml_node *child = xml_child(node, "childSnapshotList");
    while (!child && node) {
        child = xml_next(node, node->name);
        node = node->parent && strcmp(node->name, "childSnapshotList") == 0 ? node->parent : NULL;
    }
    return child;
}

static const struct xml_node *
find_named(const struct tree *tree, const char *name)
{
    for (const struct xml_node *node = NULL; (node = next_snapshot(tree, node));) {
        const char *own = xml_text_at(node, "name");
        if (own && strcmp(own, name) == 0)
            return node;
    }
    return NULL;
}

static const struct xml_node *
find_moref(const struct tree *tree, const char *moref)
{
    for (const struct xml_node *node = NULL; (node = next_snapshot(tree, node));) {
        const char *own = xml_text_at(node, "snapshot");
        if (own && strcmp(own, moref) == 0)
            return node;
    }
    return NULL;
}

int
vmware_snapshot_find(struct vmware_session *session, const char *machine_moref, const char *prefix,
                     struct vmware_snapshot_ours ret[VMWARE_SNAPSHOTS_OURS_MAX], size_t *ret_n,
                     struct err *err)
{
    auto_tree struct tree tree = { 0 };
    char what[120];
    size_t n = 0;
    snprintf(what, sizeof what, "look at the snapshots of %s", machine_moref);
    prefix = prefix ? prefix : VMWARE_SNAPSHOT_PREFIX;
    if (read_tree(session, machine_moref, what, &tree, err) < 0)
        return -1;
    for (const struct xml_node *node = NULL; (node = next_snapshot(&tree, node));) {
        const char *name = xml_text_at(node, "name");
        const char *moref = xml_text_at(node, "snapshot");
        if (!name || !moref || strncmp(name, prefix, strlen(prefix)) != 0 ||
            strlen(name) > VMWARE_SNAPSHOT_NAME_MAX || n == VMWARE_SNAPSHOTS_OURS_MAX ||
            !moref_take(ret[n].moref, moref))
            continue;
        TEXT_TAKE(ret[n].name, name);
        TEXT_TAKE(ret[n].created, xml_text_at(node, "createTime"));
        n++;
    }
    *ret_n = n;
    return 0;
}

/* ---- making one ---- */

struct making {
    struct vmware_session *session;
    const char *machine, *name, *description;
    bool quiesce;
    char what[200];
};

/* One that is being made right now, perhaps by a call of ours whose answer was lost. */
static int
wait_for_creations(struct making *making, const struct tree *tree, bool *ret_waited,
                   struct err *err)
{
    static const char *const paths[] = { "info.state", "info.descriptionId", NULL };
    const struct xml_node *task =
        xml_child(object_get(&tree->object, "recentTask"), "ManagedObjectReference");
    struct vmware_task_watch watch = { .timeout_s = CREATE_S };
    *ret_waited = false;
    for (; task; task = xml_next(task, "ManagedObjectReference")) {
        auto_soap_reply struct soap_reply reply = { 0 };
        struct object object;
        struct err why = ERR_INIT;
        if (property_read(making->session, "Task", task->text, paths, making->what, &reply, &object,
                          &why) < 0) {
            if (*making->session->fault.type || why.kind == ERR_NOT_FOUND)
                continue; /* forgotten, or somebody else's */
            *err = why;   /* it may be the one: nobody knows */
            return -1;
        }
        const char *state = object_text(&object, "info.state");
        const char *id = object_text(&object, "info.descriptionId");
        if (!state || !id || strncmp(id, "VirtualMachine.createSnapshot", 29) != 0 ||
            (strcmp(state, "running") != 0 && strcmp(state, "queued") != 0))
            continue;
        *ret_waited = true;
        if (vmware_task_wait(making->session, object.moref, making->what, &watch, NULL, &why) < 0 &&
            (why.kind == ERR_CANCELLED || why.kind == ERR_UNAVAILABLE)) {
            *err = why;
            return -1;
        }
    }
    return 0;
}

/* 1: there is one of that name; 0: there is none. */
static int
find_made(struct making *making, struct vmware_snapshot_made *ret, struct err *err)
{
    auto_tree struct tree tree = { 0 };
    for (bool waited = true; waited;) {
        if (read_tree(making->session, making->machine, making->what, &tree, err) < 0)
            return -1;
        const struct xml_node *node = find_named(&tree, making->name);
        if (node && moref_take(ret->moref, xml_text_at(node, "snapshot"))) {
            ret->quiesced = text_bool(xml_text_at(node, "quiesced"));
            return 1;
        }
        if (wait_for_creations(making, &tree, &waited, err) < 0)
            return -1;
    }
    return 0;
}

static int
create_once(const struct making *making, char ret_moref[VMWARE_MOREF_MAX], struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    char task[VMWARE_MOREF_MAX];
    struct vmware_task_watch watch = { .timeout_s = CREATE_S };
    call_begin(making->session, &message, "CreateSnapshot_Task", "VirtualMachine", making->machine);
    soap_text(&message, "name", making->name);
    soap_text(&message, "description", making->description);
    soap_bool(&message, "memory", false);
    soap_bool(&message, "quiesce", making->quiesce);
    if (call_task(making->session, &message, making->what, task, err) < 0)
        return -1;
    return vmware_task_wait(making->session, task, making->what, &watch, ret_moref, err);
}

static bool
is_quiesce_fault(const struct fault *fault)
{
    static const char *const types[] = { "ApplicationQuiesceFault", "FilesystemQuiesceFault",
                                         "SnapshotFault", "ToolsUnavailable" };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(fault->type, types[i]) == 0)
            return true;
    return *fault->type && strcasestr(fault->message, "quiesc");
}

/* After a failure of which nobody knows whether it was one: by what is there. 1: it is there. */
static int
look_after_failure(struct making *making, const struct err *why, struct vmware_snapshot_made *ret,
                   struct err *err)
{
    bool unknown = !*making->session->fault.type && why->kind != ERR_CANCELLED;
    bool forgotten = why->kind == ERR_NOT_FOUND;
    struct fault fault = making->session->fault;
    if (!unknown && !forgotten)
        return 0;
    int found = find_made(making, ret, err);
    making->session->fault = fault;
    return found;
}

static int
create(struct making *making, enum vmware_quiesce quiesce, struct vmware_snapshot_made *ret,
       struct err *err)
{
    making->quiesce = quiesce != VMWARE_QUIESCE_NO;
    for (int tries = 1;; tries++) {
        struct err why = ERR_INIT;
        if (create_once(making, ret->moref, &why) == 0) {
            ret->quiesced = making->quiesce;
            return 0;
        }
        int found = look_after_failure(making, &why, ret, err);
        if (found != 0)
            return found < 0 ? -1 : 0;
        const struct fault *fault = &making->session->fault;
        if (making->quiesce && quiesce == VMWARE_QUIESCE_TRY && is_quiesce_fault(fault)) {
            TEXT_TAKE(ret->why_not, fault->message);
            making->quiesce = false;
            continue;
        }
        /* Refused because another task is at work: nothing was made. */
        if (!fault_is_transient(fault) || tries >= BUSY_TRIES) {
            *err = why;
            return -1;
        }
        if (session_sleep_ms(making->session, BUSY_PAUSE_MS << tries, err) < 0)
            return -1;
        found = find_made(making, ret, err);
        if (found != 0)
            return found < 0 ? -1 : 0;
    }
}

bool
vmware_snapshot_is_ours(const char *name)
{
    return strncmp(name, VMWARE_SNAPSHOT_PREFIX, strlen(VMWARE_SNAPSHOT_PREFIX)) == 0;
}

int
vmware_snapshot_create(struct vmware_session *session, const char *machine_moref, const char *name,
                       const char *description, enum vmware_quiesce quiesce,
                       struct vmware_snapshot_made *ret, struct err *err)
{
    struct making making = {
        .session = session, .machine = machine_moref, .name = name, .description = description
    };
    struct vmware_snapshot_made made = { .found = false };
    if (!vmware_snapshot_is_ours(name) || strlen(name) > VMWARE_SNAPSHOT_NAME_MAX ||
        strpbrk(name, "/\\%"))
        return err_set(err, ERR_BUG, "snapshot %.100s: not a name of ours", name);
    snprintf(making.what, sizeof making.what, "create the snapshot %s of %.63s", name,
             machine_moref);
    int found = find_made(&making, &made, err);
    if (found < 0)
        return -1;
    made.found = found;
    if (!found && create(&making, quiesce, &made, err) < 0)
        return -1;
    *ret = made;
    return 0;
}

/* ---- removing one ---- */

static void
begin_remove(struct vmware_session *session, struct soap_message *message, const void *arg)
{
    call_begin(session, message, "RemoveSnapshot_Task", "VirtualMachineSnapshot", arg);
    soap_bool(message, "removeChildren", false);
    soap_bool(message, "consolidate", true);
}

static void
begin_consolidate(struct vmware_session *session, struct soap_message *message, const void *arg)
{
    call_begin(session, message, "ConsolidateVMDisks_Task", "VirtualMachine", arg);
}

/* 1: it is there, and ours; 0: it is not there. */
static int
expect_ours(struct vmware_session *session, const struct tree *tree, const char *moref,
            const char *name, const char *what, struct err *err)
{
    const struct xml_node *node = find_moref(tree, moref);
    if (!node)
        return 0;
    const char *own = xml_text_at(node, "name");
    own = own ? own : "";
    if (!vmware_snapshot_is_ours(own) || (name && strcmp(own, name) != 0))
        return err_set(err, ERR_CONFLICT,
                       "%s: %s: it is called \"%.100s\", so it is not the one to remove",
                       session->endpoint, what, own);
    return 1;
}

static int
consolidate(struct vmware_session *session, const char *machine_moref, const struct tree *tree,
            struct err *err)
{
    char what[120];
    if (!object_bool(&tree->object, "runtime.consolidationNeeded"))
        return 0;
    snprintf(what, sizeof what, "consolidate the disks of %s", machine_moref);
    struct machine_task task = {
        .what = what, .begin = begin_consolidate, .arg = machine_moref, .timeout_s = REMOVE_S
    };
    return machine_task_run(session, &task, NULL, err);
}

int
vmware_snapshot_remove(struct vmware_session *session, const char *machine_moref,
                       const char *snapshot_moref, const char *name, struct err *err)
{
    auto_tree struct tree tree = { 0 };
    char what[200];
    snprintf(what, sizeof what, "remove the snapshot %s of %s", snapshot_moref, machine_moref);
    if (read_tree(session, machine_moref, what, &tree, err) < 0)
        return -1;
    int there = expect_ours(session, &tree, snapshot_moref, name, what, err);
    if (there < 0)
        return -1;
    if (there) {
        struct machine_task task = {
            .what = what, .begin = begin_remove, .arg = snapshot_moref, .timeout_s = REMOVE_S
        };
        struct err why = ERR_INIT;
        int r = machine_task_run(session, &task, NULL, &why);
        struct fault fault = session->fault;
        if (r < 0 && why.kind == ERR_CANCELLED) {
            *err = why;
            return -1;
        }
        if (read_tree(session, machine_moref, what, &tree, err) < 0)
            return -1;
        if (r < 0 && find_moref(&tree, snapshot_moref)) { /* else it is gone all the same */
            session->fault = fault;
            *err = why;
            return -1;
        }
    }
    return consolidate(session, machine_moref, &tree, err);
}

int
vmware_consolidate(struct vmware_session *session, const char *machine_moref, struct err *err)
{
    auto_tree struct tree tree = { 0 };
    if (read_tree(session, machine_moref, "see whether disks need consolidation", &tree, err) < 0)
        return -1;
    return consolidate(session, machine_moref, &tree, err);
}
