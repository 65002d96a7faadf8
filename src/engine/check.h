/* What would stop or hurt the migration of a machine from vSphere. The one place that decides it:
 * `vmferry check` shows all of it, `vmferry v2v` refuses by it.
 *
 * A rule is a line of a table (check-machine.c, check-disk.c, check-device.c): a stable code, what
 * it means for a cold and for a warm migration, cause and cure; and a function that looks at the
 * machine as it was read (vmware/machine.h) and says what it found. No I/O here.
 */
#ifndef ENGINE_CHECK_H
#define ENGINE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct vmware_machine;

enum check_level {
    CHECK_NONE,    /* no matter for this way */
    CHECK_INFO,    /* to know */
    CHECK_WARNING, /* it can be done, something changes or is lost */
    CHECK_ERROR,   /* it cannot be done this way as things are */
};

/* The ways of a migration. Cold: the machine is off, or read from one snapshot. Warm: round by
 * round while it runs. */
enum check_way { CHECK_COLD, CHECK_WARM, CHECK_WAYS };

/* How disks are read, as a set. */
enum {
    CHECK_BY_VDDK = 1,
    CHECK_BY_HTTPS = 2,
    CHECK_BY_EXPORT = 4,
    CHECK_BY_SSH = 8,
    CHECK_BY_ANY = 15,
    CHECK_BY_WARM = CHECK_BY_VDDK | CHECK_BY_HTTPS, /* that read a part of a disk, as rounds do */
};

/* What is planned. Zeroed: a look at what is there, no transport chosen. */
struct check_context {
    bool esxi;           /* logged in to a host, not to a vCenter */
    bool now;            /* it starts at once: a running machine stops a cold migration ... */
    bool snapshot;       /* ... unless it is read from a snapshot of ours */
    unsigned transports; /* that may be used, CHECK_BY_*; 0: any */
    const char *ours;    /* prefix of the names of our snapshots, which do not count; NULL: none */
};

/* Texts are UTF-8, lower-case phrases without a full stop. */
struct check_finding {
    const char *code;                   /* stable, static: "rdm-physical" */
    enum check_level level[CHECK_WAYS]; /* for each way */
    char subject[64];                   /* "scsi0:1", "ethernet 4000"; "": the machine */
    char what[512];                     /* what was found, with names and figures */
    const char *cause;                  /* why that matters; static */
    const char *cure;                   /* what to do; static */
};

typedef void check_fn(const struct check_finding *finding, void *arg);

/* Apply every rule to one machine. Findings come in the order of the rules; the pointer is good
 * during the call. */
void check_machine(const struct vmware_machine *machine, const struct check_context *context,
                   check_fn *found, void *arg);

/* The transports (CHECK_BY_*) that can read every disk of the machine as it is now, of those that
 * the context allows. */
unsigned check_transports(const struct vmware_machine *machine,
                          const struct check_context *context);

/* One that vSphere makes for itself (vCLS, agents of ESX Agent Manager): nothing to migrate. */
bool check_is_service(const struct vmware_machine *machine);

/* For one that is about to migrate: the warnings for this way go to log (may be NULL) with their
 * codes; the first error is the error returned: ERR_CONFLICT where the machine's state can be
 * changed, ERR_INVALID else, "NAME: WHAT: CAUSE: CURE [CODE]"; 0 without one. */
typedef void check_log_fn(enum log_level level, const char *code, const char *text, void *arg);
int check_refuse(const struct vmware_machine *machine, const struct check_context *context,
                 enum check_way way, check_log_fn *log, void *arg, struct err *err);

/* "error", "warning", "info", "ok"; "cold", "warm". */
const char *check_level_name(enum check_level level);
const char *check_way_name(enum check_way way);

/* All codes of check_machine, in the order of the rules, NULL after the last. For the manual page's
 * and the rules' tests. */
const char *check_code(size_t i);

#endif
