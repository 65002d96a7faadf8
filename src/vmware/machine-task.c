#include "vmware/machine-task.h"

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/task.h"

#define PATIENCE_NS (600 * NS_PER_S)
#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 30000

static int
run_once(struct vmware_session *session, const struct machine_task *task,
         char ret_result[VMWARE_MOREF_MAX], struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    char moref[VMWARE_MOREF_MAX];
    struct vmware_task_watch watch = { .timeout_s = task->timeout_s };
    task->begin(session, &message, task->arg);
    if (call_task(session, &message, task->what, moref, err) < 0)
        return -1;
    return vmware_task_wait(session, moref, task->what, &watch, ret_result, err);
}

int
machine_task_run(struct vmware_session *session, const struct machine_task *task,
                 char ret_result[VMWARE_MOREF_MAX], struct err *err)
{
    int64_t until_ns = clock_now_ns() + PATIENCE_NS;
    int pause_ms = FIRST_PAUSE_MS;
    while (run_once(session, task, ret_result, err) < 0) {
        if (!fault_is_transient(&session->fault) || clock_now_ns() >= until_ns)
            return -1;
        if (session_sleep_ms(session, pause_ms, err) < 0)
            return -1;
        pause_ms = MIN(2 * pause_ms, LONGEST_PAUSE_MS);
    }
    return 0;
}
