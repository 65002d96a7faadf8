/* A task of the server: what takes it longer than one answer. */
#ifndef VMWARE_TASK_H
#define VMWARE_TASK_H

#include "vmware/session.h"

struct vmware_task_watch {
    int timeout_s;                                 /* 0: an hour */
    void (*progress)(unsigned percent, void *arg); /* when it changes; or NULL */
    void *arg;
};

/* Wait until the task has ended. 0: success; ret_result (may be NULL) gets the moref that it made,
 * "" if none. Its failure is the error, as for a call: with fault (vmware_last_fault), message and
 * what to do; where it could not be watched to its end there is no fault that says what became of
 * it. ERR_UNAVAILABLE: not ended in time (it goes on at the server). ERR_NOT_FOUND: the server has
 * forgotten it, so look at what it should have done. ERR_CANCELLED: asked for; the task goes on
 * unless vmware_task_cancel is called. what ("create snapshot of web01") is for texts. watch may be
 * NULL. */
int vmware_task_wait(struct vmware_session *session, const char *task, const char *what,
                     const struct vmware_task_watch *watch, char ret_result[VMWARE_MOREF_MAX],
                     struct err *err);

/* Ask the server to stop it; one that has ended is fine. */
int vmware_task_cancel(struct vmware_session *session, const char *task, struct err *err);

#endif
