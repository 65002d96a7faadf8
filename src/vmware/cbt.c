#include "vmware/cbt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "vmware/machine-task.h"

#define QUERY_TIMEOUT_S 600 /* tens of seconds are usual on disks of terabytes */
#define RECONFIGURE_S 600

/* ---- on and off ---- */

struct tracking {
    const char *machine;
    bool on;
};

static void
begin_reconfigure(struct vmware_session *session, struct soap_message *message, const void *arg)
{
    const struct tracking *tracking = arg;
    call_begin(session, message, "ReconfigVM_Task", "VirtualMachine", tracking->machine);
    soap_open(message, "spec", NULL);
    soap_bool(message, "changeTrackingEnabled", tracking->on);
    soap_close(message);
}

static int
reconfigure(struct vmware_session *session, const char *machine, bool on, const char *what,
            struct err *err)
{
    struct tracking tracking = { machine, on };
    struct machine_task task = {
        .what = what, .begin = begin_reconfigure, .arg = &tracking, .timeout_s = RECONFIGURE_S
    };
    return machine_task_run(session, &task, NULL, err);
}

static int
read_tracking(struct vmware_session *session, const char *machine, const char *what,
              struct soap_reply *reply, struct object *ret, struct err *err)
{
    static const char *const paths[] = { "config.changeTrackingEnabled",
                                         "capability.changeTrackingSupported", "snapshot", NULL };
    return property_read(session, "VirtualMachine", machine, paths, what, reply, ret, err);
}

int
vmware_cbt_enable(struct vmware_session *session, const char *machine_moref, bool *ret_enabled_now,
                  struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 };
    struct object object;
    char what[140];
    snprintf(what, sizeof what, "turn on changed block tracking of %s", machine_moref);
    if (read_tracking(session, machine_moref, what, &reply, &object, err) < 0)
        return -1;
    if (object_bool(&object, "config.changeTrackingEnabled")) {
        *ret_enabled_now = false;
        return 0;
    }
    if (!object_bool(&object, "capability.changeTrackingSupported"))
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: %s: the machine cannot have it (it needs hardware "
                       "version 7 or newer); migrate it cold",
                       session->endpoint, what);
    if (object_get(&object, "snapshot.rootSnapshotList"))
        return err_set(err, ERR_CONFLICT,
                       "%s: %s: the machine has snapshots, and tracking that "
                       "begins under one gives incomplete answers; remove them first",
                       session->endpoint, what);
    if (reconfigure(session, machine_moref, true, what, err) < 0)
        return -1;
    soap_reply_free(&reply);
    if (read_tracking(session, machine_moref, what, &reply, &object, err) < 0)
        return -1;
    if (!object_bool(&object, "config.changeTrackingEnabled"))
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: %s: the server took the change and it is still "
                       "off; see the machine's events in vSphere",
                       session->endpoint, what);
    *ret_enabled_now = true;
    return 0;
}

int
vmware_cbt_disable(struct vmware_session *session, const char *machine_moref, struct err *err)
{
    char what[140];
    snprintf(what, sizeof what, "turn off changed block tracking of %s", machine_moref);
    return reconfigure(session, machine_moref, false, what, err);
}

/* ---- change ids ---- */

/* "52 de c0 d9 b9 43 9d 10-61 d5 4c 1b e9 7b 65 63/81": the number behind the slash. */
static bool
split_change_id(const char *id, size_t *ret_uuid_len, uint64_t *ret_counter)
{
    const char *slash = id ? strrchr(id, '/') : NULL;
    if (!slash || slash == id || !slash[1] ||
        strspn(slash + 1, "0123456789") != strlen(slash + 1) || strlen(slash + 1) > 19)
        return false;
    *ret_uuid_len = (size_t)(slash - id);
    *ret_counter = text_u64(slash + 1);
    return true;
}

bool
vmware_change_id_follows(const char *then, const char *now)
{
    size_t then_len, now_len;
    uint64_t then_counter, now_counter;
    return split_change_id(then, &then_len, &then_counter) &&
           split_change_id(now, &now_len, &now_counter) && then_len == now_len &&
           strncasecmp(then, now, then_len) == 0 && now_counter >= then_counter;
}

/* ---- areas ---- */

struct asking {
    struct vmware_session *session;
    const struct vmware_cbt_query *query;
    int (*each)(uint64_t start, uint64_t length, void *arg, struct err *err);
    void *arg;
    uint64_t at;         /* covered up to here */
    uint64_t start, end; /* area not given yet; end 0: none */
    char what[160];
};

static int
give(struct asking *asking, struct err *err)
{
    if (asking->end == 0)
        return 0;
    uint64_t start = asking->start, length = asking->end - asking->start;
    asking->end = 0;
    return asking->each(start, length, asking->arg, err);
}

static int
refuse(const struct asking *asking, const char *why, struct err *err)
{
    return err_set(err, ERR_IO, "%s: %s: the answer makes no sense at byte %" PRIu64 ": %s",
                   asking->session->endpoint, asking->what, asking->at, why);
}

static int
take_area(struct asking *asking, const struct xml_node *area, uint64_t window_end, uint64_t *last,
          struct err *err)
{
    uint64_t start = text_u64(xml_text_at(area, "start"));
    uint64_t length = text_u64(xml_text_at(area, "length"));
    uint64_t end;
    if (length == 0)
        return 0;
    if (!checked_add(start, length, &end))
        return refuse(asking, "an area beyond any disk", err);
    end = MIN(end, asking->query->capacity_bytes);
    if (end <= asking->at) /* a window that begins earlier than asked for */
        return 0;
    start = *last == asking->at ? MAX(start, *last) : start;
    if (start < *last)
        return refuse(asking, "areas that overlap or go back", err);
    if (start >= end || end > window_end)
        return refuse(asking, "an area outside of what it covers", err);
    *last = end;
    if (asking->end != 0 && start == asking->end) {
        asking->end = end;
        return 0;
    }
    if (give(asking, err) < 0)
        return -1;
    asking->start = start;
    asking->end = end;
    return 0;
}

/* One answer covers [startOffset, startOffset + length), whether something changed there or not. */
static int
take_window(struct asking *asking, const struct xml_node *info, struct err *err)
{
    uint64_t start = text_u64(xml_text_at(info, "startOffset"));
    uint64_t length = text_u64(xml_text_at(info, "length"));
    uint64_t end, last = asking->at;
    if (!info || !checked_add(start, length, &end))
        return refuse(asking, "it does not say what it covers", err);
    if (start > asking->at)
        return refuse(asking, "it leaves out what was asked for", err);
    if (end <= asking->at)
        return refuse(asking, "it covers nothing more", err);
    uint64_t window_end = MIN(end, asking->query->capacity_bytes);
    const struct xml_node *area = xml_child(info, "changedArea");
    for (; area; area = xml_next(area, "changedArea"))
        if (take_area(asking, area, window_end, &last, err) < 0)
            return -1;
    asking->at = window_end;
    return 0;
}

static int
ask(struct asking *asking, struct soap_reply *reply, struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    const struct vmware_cbt_query *query = asking->query;
    struct soap_call call = { .what = asking->what, .timeout_s = QUERY_TIMEOUT_S };
    soap_reply_free(reply);
    call_begin(asking->session, &message, "QueryChangedDiskAreas", "VirtualMachine",
               query->machine_moref);
    if (query->snapshot_moref)
        soap_ref(&message, "snapshot", "VirtualMachineSnapshot", query->snapshot_moref);
    soap_int(&message, "deviceKey", query->disk_key);
    soap_int(&message, "startOffset", (int64_t)asking->at);
    soap_text(&message, "changeId", query->change_id);
    return call_send(asking->session, &message, &call, reply, err);
}

/* The epoch, or tracking of the disk, is no more: the disk must be read whole. */
static bool
is_reset(const struct fault *fault)
{
    static const char *const types[] = { "FileFault", "FileNotFound", "CannotAccessFile",
                                         "SystemError", "NotSupported" };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(fault->type, types[i]) == 0)
            return true;
    return strcmp(fault->type, "InvalidArgument") == 0 && !strstr(fault->property, "startOffset") &&
           !strstr(fault->property, "snapshot");
}

int
vmware_cbt_areas(struct vmware_session *session, const struct vmware_cbt_query *query,
                 int (*each)(uint64_t start, uint64_t length, void *arg, struct err *err),
                 void *arg, enum vmware_cbt_answer *ret, char ret_why[512], struct err *err)
{
    struct asking asking = { .session = session, .query = query, .each = each, .arg = arg };
    snprintf(asking.what, sizeof asking.what, "ask what changed on disk %d of %.63s",
             query->disk_key, query->machine_moref);
    if (!query->change_id || !*query->change_id)
        return err_set(err, ERR_BUG, "%s: no change id", asking.what);
    while (asking.at < query->capacity_bytes) {
        auto_soap_reply struct soap_reply reply = { 0 };
        if (ask(&asking, &reply, err) < 0) {
            if (!is_reset(&session->fault))
                return -1;
            if (ret_why)
                text_take(ret_why, 512, err->text);
            *ret = VMWARE_CBT_RESET;
            return 0;
        }
        if (take_window(&asking, xml_child(reply.response, "returnval"), err) < 0)
            return -1;
    }
    if (give(&asking, err) < 0)
        return -1;
    *ret = VMWARE_CBT_GIVEN;
    return 0;
}
