/* vmferry-worker: one migration, or one look at a vSphere or at this host, on behalf of the process
 * at descriptor 3. Called with "inspect" it is the child that looks into one guest.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/proc.h"
#include "engine/check-run.h"
#include "engine/doctor.h"
#include "engine/inventory.h"
#include "engine/run.h"
#include "guest/inspect.h"
#include "wire/ipc.h"
#include "worker/report.h"

/* What is not finished is nobody else's business; the result gets the caller's umask. */
#define PRIVATE_UMASK 077

/* What a start message may ask for beside a migration. */
static const struct {
    const char *name;
    int (*run)(const json_t *start, const struct talk *talk, json_t **ret_detail, struct err *err);
} actions[] = {
    { "check", check_run },
    { "doctor", doctor_run },
    { "inventory", inventory_run },
};

static int
migrate(const json_t *start, mode_t file_mode, json_t **ret_detail, struct err *err)
{
    auto_job struct job job = { 0 };
    if (job_parse(start, &job, err) < 0)
        return -1;
    if (!job.journal)
        return engine_run(&job, file_mode, &report_watch, ret_detail, err);
    report_begin(start);
    return engine_run(&job, file_mode, &report_daemon_watch, ret_detail, err);
}

static int
act(const json_t *start, mode_t file_mode, json_t **ret_detail, struct err *err)
{
    const char *name = json_get_str(start, "action", "");
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(name, actions[i].name) == 0)
            return actions[i].run(start, &report_talk, ret_detail, err);
    return migrate(start, file_mode, ret_detail, err);
}

static int
work(mode_t file_mode, struct err *err)
{
    auto_json json_t *start = NULL;
    if (ipc_child_begin(IPC_CHILD_FD, "worker", &start, err) < 0)
        return -1;
    json_t *detail = NULL;
    struct err failure = ERR_INIT;
    int r = act(start, file_mode, &detail, &failure);
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
    proc_forbid_core(); /* passwords and keys of disks pass through here */
    json_wipe_freed();
    signal(SIGPIPE, SIG_IGN);
    mode_t caller = umask(PRIVATE_UMASK);
    if (argc > 1 && strcmp(argv[1], "inspect") == 0)
        return inspect_child_main();

    struct err err = ERR_INIT;
    log_setup("vmferry-worker", LOG_LEVEL_DEBUG, report_log, NULL);
    int r = work(0666 & ~caller, &err);
    if (r < 0)
        fprintf(stderr, "vmferry-worker: %s\n", err.text);
    return r < 0 ? 1 : r;
}
