#include "vmware/task.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/property.h"

#define TIMEOUT_S 3600

struct waiting {
    struct vmware_session *session;
    const char *what;
    const struct vmware_task_watch *watch;
    unsigned percent;
    bool ended;
    char result[VMWARE_MOREF_MAX];
};

static void
tell_progress(struct waiting *waiting, const struct object *task)
{
    unsigned percent = (unsigned)MIN(object_u64(task, "info.progress"), (uint64_t)100);
    if (percent == waiting->percent || !waiting->watch || !waiting->watch->progress)
        return;
    waiting->percent = percent;
    waiting->watch->progress(percent, waiting->watch->arg);
}

static int
look(const struct object *task, void *arg, struct err *err)
{
    struct waiting *waiting = arg;
    struct vmware_session *session = waiting->session;
    const char *state = object_text(task, "info.state");
    waiting->ended = state && (strcmp(state, "success") == 0 || strcmp(state, "error") == 0);
    if (state && strcmp(state, "success") == 0) {
        const char *result = object_text(task, "info.result");
        if (!moref_take(waiting->result, result))
            return err_set(err, ERR_INVALID, "%s: %s: the result of the task is no reference",
                           session->endpoint, waiting->what);
        return 1;
    }
    if (state && strcmp(state, "error") == 0) {
        char subject[512];
        snprintf(subject, sizeof subject, "%s: %s", session->endpoint, waiting->what);
        fault_read_localized(object_get(task, "info.error"), &session->fault);
        return fault_err(&session->fault, session->user, subject, err);
    }
    tell_progress(waiting, task);
    return 0;
}

int
vmware_task_wait(struct vmware_session *session, const char *task, const char *what,
                 const struct vmware_task_watch *watch, char ret_result[VMWARE_MOREF_MAX],
                 struct err *err)
{
    static const char *const paths[] = { "info.state", "info.progress", "info.error", "info.result",
                                         NULL };
    struct waiting waiting = { .session = session, .what = what, .watch = watch };
    int timeout_s = watch && watch->timeout_s ? watch->timeout_s : TIMEOUT_S;
    struct watch_spec spec = {
        .type = "Task",
        .moref = task,
        .paths = paths,
        .what = what,
        .deadline_ns = clock_now_ns() + timeout_s * NS_PER_S,
        .look = look,
        .arg = &waiting,
    };
    if (property_watch(session, &spec, err) < 0) {
        /* That the task could not be watched says nothing of the task. */
        if (!waiting.ended && !fault_is_transient(&session->fault))
            session->fault = (struct fault){ .type = "" };
        return -1;
    }
    if (ret_result)
        memcpy(ret_result, waiting.result, VMWARE_MOREF_MAX);
    return 0;
}

int
vmware_task_cancel(struct vmware_session *session, const char *task, struct err *err)
{
    struct soap_call call = { .what = "cancel a task" };
    if (call_plain(session, "CancelTask", "Task", task, &call, NULL, err) == 0)
        return 0;
    /* It has ended, or cannot be stopped any more. */
    return call_is_fault(session, "InvalidState") || err->kind == ERR_NOT_FOUND ? 0 : -1;
}
