/* What concerns the daemon as a whole. */
#include <errno.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/daemon.h"
#include "daemon/limits.h"
#include "daemon/note.h"
#include "daemon/tend.h"

int
api_health(struct daemon *daemon, const struct api_request *request, const char *id,
           const char *verb, struct api_reply *ret, struct err *err)
{
    static const char *const modes[] = {
        [DAEMON_SERVE] = "serve",
        [DAEMON_RUN] = "run",
        [DAEMON_LOOK] = "look",
    };
    (void)request;
    (void)id;
    (void)verb;
    ret->body = json_pack("{s:s, s:s, s:s, s:i, s:i, s:b}", "status", "ok", "version",
                          VMFERRY_VERSION, "mode", modes[daemon->mode], "pid", (int)getpid(),
                          "workers", (int)daemon->n_workers, "stopping", daemon->stopping);
    return ret->body ? 0 : err_errno(err, ENOMEM, "health");
}

int
api_limits(struct daemon *daemon, const struct api_request *request, const char *id,
           const char *verb, struct api_reply *ret, struct err *err)
{
    (void)request;
    (void)id;
    (void)verb;
    ret->body = limits_json(&daemon->limits);
    return ret->body ? 0 : err_errno(err, ENOMEM, "limits");
}

/* What the body does not have stays as it is. */
int
api_limits_put(struct daemon *daemon, const struct api_request *request, const char *id,
               const char *verb, struct api_reply *ret, struct err *err)
{
    struct limits limits = daemon->limits;
    (void)id;
    (void)verb;
    if (limits_read(request->body, &limits, err) < 0 || limits_store(daemon, &limits, err) < 0)
        return -1;
    note_daemon(daemon, LOG_LEVEL_INFO, "limits",
                "limits: %lld disks per ESXi host, %lld machines at once, %llu bytes a second "
                "(0: no limit)",
                (long long)limits.disks_per_esxi, (long long)limits.parallel_vms,
                (unsigned long long)limits.bandwidth_bytes_s);
    tend_soon(daemon);
    ret->body = limits_json(&daemon->limits);
    return ret->body ? 0 : err_errno(err, ENOMEM, "limits");
}
