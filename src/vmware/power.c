#include "vmware/power.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/machine-read.h"
#include "vmware/machine-task.h"

#define SHUTDOWN_S 300
#define POWER_TASK_S 600
#define LOOK_MS 1000

static const char *const power_paths[] = { "runtime.powerState", "runtime.question", NULL };

struct state {
    struct vmware_session *session;
    const char *what;
    enum vmware_power power;
};

static int
read_power(struct vmware_session *session, const char *moref, const char *what,
           enum vmware_power *ret, struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 };
    struct object object;
    if (property_read(session, "VirtualMachine", moref, power_paths, what, &reply, &object, err) <
        0)
        return -1;
    const char *state = object_text(&object, "runtime.powerState");
    if (!state)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s: the server does not say whether it is on",
                       session->endpoint, what);
    *ret = power_of(state);
    return 0;
}

int
vmware_power_state(struct vmware_session *session, const char *moref, enum vmware_power *ret,
                   struct err *err)
{
    char what[120];
    snprintf(what, sizeof what, "see whether %s is on", moref);
    return read_power(session, moref, what, ret, err);
}

/* ---- shutting down ---- */

static int
look_off(const struct object *object, void *arg, struct err *err)
{
    const struct state *state = arg;
    const char *question = object_text(object, "runtime.question.text");
    const char *power = object_text(object, "runtime.powerState");
    if (power && power_of(power) == VMWARE_POWERED_OFF)
        return 1;
    if (question)
        return err_set(err, ERR_CONFLICT,
                       "%s: %s: the machine waits for an answer: %.300s: give it in vSphere",
                       state->session->endpoint, state->what, question);
    return 0;
}

/* That nobody answers, or not now, is not that the guest does not obey. */
static int
not_the_guest(struct err *err)
{
    if (err->kind == ERR_UNAVAILABLE)
        err->kind = ERR_IO;
    return -1;
}

int
vmware_shutdown_guest(struct vmware_session *session, const char *moref, int timeout_s,
                      struct err *err)
{
    char what[120];
    enum vmware_power power;
    snprintf(what, sizeof what, "shut down the guest of %s", moref);
    if (read_power(session, moref, what, &power, err) < 0)
        return not_the_guest(err);
    if (power == VMWARE_POWERED_OFF)
        return 0;
    if (power == VMWARE_SUSPENDED)
        return err_set(err, ERR_CONFLICT, "%s: %s: the machine is suspended; resume it first",
                       session->endpoint, what);
    struct soap_call call = { .what = what };
    if (call_plain(session, "ShutdownGuest", "VirtualMachine", moref, &call, NULL, err) < 0 &&
        !call_is_fault(session, "InvalidPowerState")) /* it went off meanwhile */
        return call_is_fault(session, "ToolsUnavailable") ? -1 : not_the_guest(err);
    struct state state = { .session = session, .what = what };
    struct watch_spec spec = {
        .type = "VirtualMachine",
        .moref = moref,
        .paths = power_paths,
        .what = what,
        .deadline_ns = clock_now_ns() + (timeout_s ? timeout_s : SHUTDOWN_S) * NS_PER_S,
        .look = look_off,
        .arg = &state,
    };
    if (property_watch(session, &spec, err) == 0)
        return 0;
    return clock_now_ns() < spec.deadline_ns ? not_the_guest(err) : -1;
}

/* ---- switching ---- */

static void
begin_off(struct vmware_session *session, struct soap_message *message, const void *arg)
{
    call_begin(session, message, "PowerOffVM_Task", "VirtualMachine", arg);
}

static void
begin_on(struct vmware_session *session, struct soap_message *message, const void *arg)
{
    call_begin(session, message, "PowerOnVM_Task", "VirtualMachine", arg);
}

static int
switch_power(struct vmware_session *session, const char *moref, enum vmware_power wanted,
             const struct machine_task *task, struct err *err)
{
    enum vmware_power power;
    if (read_power(session, moref, task->what, &power, err) < 0)
        return -1;
    if (power == wanted)
        return 0;
    struct err why = ERR_INIT;
    if (machine_task_run(session, task, NULL, &why) == 0)
        return 0;
    /* Somebody was faster, or the answer was lost. */
    struct fault fault = session->fault;
    bool perhaps = call_is_fault(session, "InvalidPowerState") || why.kind == ERR_UNAVAILABLE ||
                   why.kind == ERR_NOT_FOUND;
    if (perhaps && read_power(session, moref, task->what, &power, err) == 0 && power == wanted)
        return 0;
    session->fault = fault;
    *err = why;
    return -1;
}

int
vmware_power_off(struct vmware_session *session, const char *moref, struct err *err)
{
    char what[120];
    snprintf(what, sizeof what, "power off %s", moref);
    struct machine_task task = {
        .what = what, .begin = begin_off, .arg = moref, .timeout_s = POWER_TASK_S
    };
    return switch_power(session, moref, VMWARE_POWERED_OFF, &task, err);
}

int
vmware_power_on(struct vmware_session *session, const char *moref, struct err *err)
{
    char what[120];
    snprintf(what, sizeof what, "power on %s", moref);
    struct machine_task task = {
        .what = what, .begin = begin_on, .arg = moref, .timeout_s = POWER_TASK_S
    };
    return switch_power(session, moref, VMWARE_POWERED_ON, &task, err);
}

int
vmware_power_confirm_off(struct vmware_session *session, const char *moref, int stay_s,
                         struct err *err)
{
    char what[120];
    snprintf(what, sizeof what, "see that %s stays off", moref);
    int64_t until_ns = clock_now_ns() + stay_s * NS_PER_S;
    for (bool first = true;; first = false) {
        enum vmware_power power;
        if (read_power(session, moref, what, &power, err) < 0)
            return -1;
        if (power != VMWARE_POWERED_OFF)
            return err_set(err, ERR_CONFLICT, "%s: %s: %s", session->endpoint, what,
                           first ? "it is not off"
                                 : "it was off and came back (a guest that restarts, or a cluster "
                                   "that keeps it up)");
        int64_t left_ns = until_ns - clock_now_ns();
        if (left_ns <= 0)
            return 0;
        if (session_sleep_ms(session, (int)MIN(left_ns / NS_PER_MS + 1, (int64_t)LOOK_MS), err) < 0)
            return -1;
    }
}
