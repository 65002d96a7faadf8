/* Changes of a machine that another task may stand in the way of. For this folder only. */
#ifndef VMWARE_MACHINE_TASK_H
#define VMWARE_MACHINE_TASK_H

#include "vmware/property.h"

/* Start the task that `begin` writes the request of, and wait for it. While the server says that
 * another task is at work (or the like) it is tried again, for ten minutes. Only for what does no
 * harm when it happens twice, or is refused the second time. ret_result may be NULL. */
struct machine_task {
    const char *what;
    void (*begin)(struct vmware_session *session, struct soap_message *message, const void *arg);
    const void *arg;
    int timeout_s; /* 0: as vmware_task_wait */
};
int machine_task_run(struct vmware_session *session, const struct machine_task *task,
                     char ret_result[VMWARE_MOREF_MAX], struct err *err);

#endif
