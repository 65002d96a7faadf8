/* vmferry-worker: one migration, on behalf of the process at descriptor 3. Called with "inspect" it
 * is the child that looks into one guest.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "engine/run.h"
#include "guest/inspect.h"
#include "wire/ipc.h"
#include "worker/report.h"

/* What is not finished is nobody else's business; the result gets the caller's umask. */
#define PRIVATE_UMASK 077

static int
migrate(mode_t file_mode, struct err *err)
{
    auto_json json_t *start = NULL;
    if (ipc_child_begin(IPC_CHILD_FD, "worker", &start, err) < 0)
        return -1;
    auto_job struct job job = { 0 };
    json_t *detail = NULL;
    struct err failure = ERR_INIT;
    int r = job_parse(start, &job, &failure);
    if (r == 0)
        r = engine_run(&job, file_mode, &report_watch, &detail, &failure);
    if (ipc_send_result(IPC_CHILD_FD, r < 0 ? &failure : NULL, detail, err) < 0)
        return -1;
    return r < 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
    if (fcntl(IPC_CHILD_FD, F_GETFD) < 0) {
        fprintf(stderr, "vmferry-worker: is started by vmferry; use 'vmferry v2v'\n");
        return 2;
    }
    /* Keys of disks pass through here: no core dump, no ptrace by the same user. */
    prctl(PR_SET_DUMPABLE, 0);
    signal(SIGPIPE, SIG_IGN);
    mode_t caller = umask(PRIVATE_UMASK);
    if (argc > 1 && strcmp(argv[1], "inspect") == 0)
        return inspect_child_main();

    struct err err = ERR_INIT;
    log_setup("vmferry-worker", LOG_LEVEL_DEBUG, report_log, NULL);
    int r = migrate(0666 & ~caller, &err);
    if (r < 0)
        fprintf(stderr, "vmferry-worker: %s\n", err.text);
    return r < 0 ? 1 : r;
}
