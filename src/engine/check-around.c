#include "engine/check-around.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/size.h"

#define HTTPS_PORT 443
#define SSH_PORT 22

struct word {
    const char *code, *cause, *cure;
    enum check_level cold, warm;
};

static void __attribute__((format(printf, 5, 6)))
say(const struct word *word, const char *subject, check_fn *found, void *arg, const char *what, ...)
{
    struct check_finding finding = {
        .code = word->code,
        .level = { [CHECK_COLD] = word->cold, [CHECK_WARM] = word->warm },
        .cause = word->cause,
        .cure = word->cure,
    };
    va_list args;
    va_start(args, what);
    vsnprintf(finding.what, sizeof finding.what, what, args);
    va_end(args);
    snprintf(finding.subject, sizeof finding.subject, "%s", subject);
    found(&finding, arg);
}

/* ---- privileges ---- */

static const char *const machine_ids[] = {
    "VirtualMachine.Provisioning.DiskRandomRead",
    "VirtualMachine.Provisioning.GetVmFiles",
    "VirtualMachine.Config.DiskLease",
    "VApp.Export",
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
    "VirtualMachine.Config.ChangeTracking",
    "VirtualMachine.Interact.PowerOff",
    "Cryptographer.Access",
    "Cryptographer.Decrypt",
    "Global.DisableMethods",
    "Global.EnableMethods",
    NULL,
};

static const char *const datastore_ids[] = { "Datastore.Browse", "Datastore.FileManagement", NULL };

const char *const *const check_privilege_ids[CHECK_ENTITIES] = {
    [CHECK_ON_MACHINE] = machine_ids,
    [CHECK_ON_DATASTORE] = datastore_ids,
};

/* What needs what. SSH asks no one at vSphere. */
enum {
    FOR_SNAPSHOT = 16,
    FOR_TRACKING = 32,
    FOR_POWER = 64,
    FOR_ENCRYPTED = 128,
    FOR_HOLD = 256,
};

static const struct {
    unsigned purposes; /* CHECK_BY_* and FOR_* */
    enum check_entity entity;
    const char *id;
} needs[] = {
    { CHECK_BY_VDDK, CHECK_ON_MACHINE, "VirtualMachine.Provisioning.DiskRandomRead" },
    { CHECK_BY_VDDK, CHECK_ON_MACHINE, "VirtualMachine.Provisioning.GetVmFiles" },
    { CHECK_BY_HTTPS, CHECK_ON_DATASTORE, "Datastore.Browse" },
    { CHECK_BY_HTTPS, CHECK_ON_DATASTORE, "Datastore.FileManagement" },
    { CHECK_BY_EXPORT, CHECK_ON_MACHINE, "VApp.Export" },
    { FOR_SNAPSHOT, CHECK_ON_MACHINE, "VirtualMachine.State.CreateSnapshot" },
    { FOR_SNAPSHOT, CHECK_ON_MACHINE, "VirtualMachine.State.RemoveSnapshot" },
    { FOR_TRACKING, CHECK_ON_MACHINE, "VirtualMachine.Config.ChangeTracking" },
    { FOR_TRACKING, CHECK_ON_MACHINE, "VirtualMachine.Config.DiskLease" },
    { FOR_POWER, CHECK_ON_MACHINE, "VirtualMachine.Interact.PowerOff" },
    { FOR_ENCRYPTED, CHECK_ON_MACHINE, "Cryptographer.Access" },
    { FOR_ENCRYPTED, CHECK_ON_MACHINE, "Cryptographer.Decrypt" },
    { FOR_HOLD, CHECK_ON_MACHINE, "Global.DisableMethods" },
    { FOR_HOLD, CHECK_ON_MACHINE, "Global.EnableMethods" },
};

struct lack {
    size_t n;
    char text[384]; /* "A, B" */
};

/* What the user lacks for any of these purposes. */
static struct lack
lack_of(const struct check_privileges *p, unsigned purposes)
{
    struct lack lack = { .n = 0 };
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
        if (!(needs[i].purposes & purposes) || !p->lacks(needs[i].entity, needs[i].id, p->arg))
            continue;
        if (len < sizeof lack.text)
            len += (size_t)snprintf(lack.text + len, sizeof lack.text - len, "%s%s",
                                    lack.n ? ", " : "", needs[i].id);
        lack.n++;
    }
    return lack;
}

static const char privilege_cause[] =
    "vSphere refuses what the user may not do, at times with \"the host is not licensed for this "
    "feature\"";
static const char privilege_cure[] =
    "give the user's role these privileges on the machine, its datastores and what they are in "
    "(vmferry-check(1) lists which transport needs which)";

/* What the user lacks for each transport that may be used. It is an error when none has all that it
 * needs, and info when another one has. */
struct reading {
    enum check_level level;
    char what[448]; /* "for VDDK the user lacks A, B; for HTTPS ..." */
};

static struct reading
reading_of(const struct check_privileges *p, unsigned transports, unsigned common)
{
    static const char *const names[] = { "VDDK", "HTTPS", "export", "SSH" };
    struct reading reading = { .level = CHECK_NONE };
    size_t len = 0, n_lacking = 0, n_able = 0;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (!(transports & (1u << i)))
            continue;
        struct lack lack = lack_of(p, (1u << i) | common);
        n_able += lack.n == 0;
        n_lacking += lack.n != 0;
        if (lack.n && len < sizeof reading.what)
            len += (size_t)snprintf(reading.what + len, sizeof reading.what - len,
                                    "%sfor %s the user lacks %s", len ? "; " : "", names[i],
                                    lack.text);
    }
    if (n_lacking)
        reading.level = n_able ? CHECK_INFO : CHECK_ERROR;
    return reading;
}

static void
judge_reading(const struct check_privileges *p, const struct check_context *context,
              check_fn *found, void *arg)
{
    unsigned may = p->transports & (context->transports ? context->transports : CHECK_BY_ANY);
    unsigned encrypted = p->encrypted ? FOR_ENCRYPTED : 0;
    /* SSH is never chosen without being asked for. */
    if (!context->transports)
        may &= ~(unsigned)CHECK_BY_SSH;
    struct reading warm = reading_of(p, may & CHECK_BY_WARM, encrypted);
    /* What the warm way lacks is a part of this. */
    struct reading cold = reading_of(p, may, encrypted | (context->snapshot ? FOR_SNAPSHOT : 0));
    if (cold.level)
        say(&(struct word){ "privilege", privilege_cause, privilege_cure, cold.level, warm.level },
            "", found, arg, "%s", cold.what);
}

static void
judge_warm(const struct check_privileges *p, check_fn *found, void *arg)
{
    struct lack lack = lack_of(p, FOR_SNAPSHOT | FOR_TRACKING);
    struct lack power = lack_of(p, FOR_POWER);
    if (lack.n)
        say(&(struct word){ "privilege", privilege_cause, privilege_cure, CHECK_NONE, CHECK_ERROR },
            "", found, arg, "for a warm migration the user lacks %s", lack.text);
    if (power.n)
        say(&(struct word){ "privilege", "at the end of a warm migration the guest is shut down",
                            privilege_cure, CHECK_NONE, CHECK_WARNING },
            "", found, arg, "to shut the guest down the user lacks %s", power.text);
}

/* A host by itself moves no disks. */
static void
judge_hold(const struct check_privileges *p, const struct check_context *context, check_fn *found,
           void *arg)
{
    struct lack lack = lack_of(p, FOR_HOLD);
    if (lack.n && !context->esxi)
        say(&(struct word){ "privilege",
                            "a disk that vSphere moves to another datastore (storage vMotion, "
                            "storage DRS) while it is read has to be copied again",
                            "give the user's role these privileges, or see that nobody moves the "
                            "machine meanwhile",
                            CHECK_INFO, CHECK_INFO },
            "", found, arg, "to hold off storage vMotion the user lacks %s", lack.text);
}

void
check_privileges(const struct check_privileges *privileges, const struct check_context *context,
                 check_fn *found, void *arg)
{
    judge_reading(privileges, context, found, arg);
    judge_warm(privileges, found, arg);
    judge_hold(privileges, context, found, arg);
}

/* ---- hosts ---- */

/* Releases of ESXi whose changed block tracking is known to be wrong. */
static const struct {
    unsigned from[3], to[3]; /* versions, to included */
    uint64_t fixed;          /* from this build on; 0: in none of them */
    uint64_t disk_bytes;     /* only with a disk larger than this; 0: any */
    enum check_level warm;
    const char *cause, *cure;
} bugs[] = {
    { { 4, 0, 0 },
      { 5, 5, 99 },
      0,
      128 * GIB,
      CHECK_ERROR,
      "with disks that grew beyond 128 GiB it reports wrong areas (VMware KB 2090639), and what "
      "changed is not copied",
      "migrate these machines cold, or move them to a newer host first" },
    { { 6, 0, 0 },
      { 6, 0, 99 },
      3247720,
      0,
      CHECK_ERROR,
      "what is written while a snapshot is removed is missing from its answers (VMware KB 2136854)",
      "update the host to build 3247720 (ESXi600-201511001) or newer, or migrate cold" },
    { { 8, 0, 2 },
      { 8, 0, 2 },
      23305546,
      0,
      CHECK_WARNING,
      "a disk that was made larger while the machine ran may be tracked wrongly",
      "update the host to 8.0 U2b or newer; do not grow disks during a migration" },
};

static int
compare_versions(const unsigned a[3], const unsigned b[3])
{
    for (int i = 0; i < 3; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static void
look_for_bugs(const struct check_host *host, check_fn *found, void *arg)
{
    unsigned version[3] = { 0, 0, 0 };
    if (!host->version ||
        sscanf(host->version, "%4u.%4u.%4u", &version[0], &version[1], &version[2]) < 2)
        return;
    for (size_t i = 0; i < ARRAY_LEN(bugs); i++) {
        if (compare_versions(version, bugs[i].from) < 0 ||
            compare_versions(version, bugs[i].to) > 0)
            continue;
        if ((bugs[i].fixed && host->build >= bugs[i].fixed) ||
            (bugs[i].disk_bytes && host->largest_disk_bytes <= bugs[i].disk_bytes))
            continue;
        say(&(struct word){ "cbt-bug", bugs[i].cause, bugs[i].cure, CHECK_NONE, bugs[i].warm },
            host->name, found, arg,
            "ESXi %s build %" PRIu64 ", whose changed block tracking has a known fault",
            host->version, host->build);
    }
}

void
check_host(const struct check_host *host, check_fn *found, void *arg)
{
    static const struct word lost = { "host-connection",
                                      "machines on it can neither be frozen nor read",
                                      "bring the host back until vCenter shows it as connected",
                                      CHECK_ERROR, CHECK_ERROR };
    const struct word maintenance = {
        "host-maintenance",
        "running machines leave such a host, and VDDK refuses to read there; the files of those "
        "that are off can be read",
        "end the maintenance, or wait until the machines have moved",
        host->only_vddk ? CHECK_ERROR : CHECK_WARNING, CHECK_ERROR
    };
    if (!host->connected)
        say(&lost, host->name, found, arg, "vCenter has no connection to this host");
    if (host->maintenance)
        say(&maintenance, host->name, found, arg, "the host is in maintenance");
    look_for_bugs(host, found, arg);
}

void
check_host_reach(const char *host, unsigned port, const struct err *wrong, bool needed,
                 check_fn *found, void *arg)
{
    enum check_level cold = needed ? CHECK_ERROR : CHECK_WARNING;
    bool vddk = port != HTTPS_PORT && port != SSH_PORT;
    const char *cause =
        port == HTTPS_PORT ? "exported disks come from the host itself through this port"
        : port == SSH_PORT
            ? "disks are read over SSH from the host itself; the service is off there "
              "until somebody starts it"
            : "VDDK reads the disks of machines on this host through this port";
    static const char cure[] = "open the port in the firewalls between here and the host, and see "
                               "that its service runs; vmferry uses no proxy";
    if (wrong->kind == ERR_NONE)
        return;
    if (port == 0)
        say(&(struct word){ "host-name",
                            "disks are read from the host itself, by the name that vCenter knows",
                            "enter the name in the name server, or in /etc/hosts here", cold,
                            cold },
            host, found, arg, "%s", wrong->text);
    else
        say(&(struct word){ "host-port", cause, cure, cold, vddk ? cold : CHECK_NONE }, host, found,
            arg, "%s", wrong->text);
}

/* ---- the rest ---- */

void
check_target(const char *dir, uint64_t free_bytes, uint64_t capacity_bytes, uint64_t used_bytes,
             check_fn *found, void *arg)
{
    static const char cause[] = "a copy that meets a full file system stops";
    static const char cure[] = "make room there, name another directory, or migrate fewer machines "
                               "at a time";
    char has[SIZE_TEXT_MAX], all[SIZE_TEXT_MAX], used[SIZE_TEXT_MAX];
    size_format(free_bytes, has);
    size_format(capacity_bytes, all);
    size_format(used_bytes, used);
    if (free_bytes >= capacity_bytes)
        return;
    if (used_bytes && free_bytes < used_bytes)
        say(&(struct word){ "target-room", cause, cure, CHECK_ERROR, CHECK_ERROR }, "", found, arg,
            "%s: %s free; the disks use %s at the source and have %s", dir, has, used, all);
    else
        say(&(struct word){ "target-room", cause, cure, CHECK_WARNING, CHECK_WARNING }, "", found,
            arg, "%s: %s free; the disks have %s, and may need less where they are empty", dir, has,
            all);
}

void
check_target_unusable(const char *why, check_fn *found, void *arg)
{
    static const struct word word = { "target-room", "the disks are to be written there",
                                      "make the directory, let this user write there, or name "
                                      "another one",
                                      CHECK_ERROR, CHECK_ERROR };
    say(&word, "", found, arg, "%s", why);
}

void
check_vddk_unusable(const char *why, bool needed, check_fn *found, void *arg)
{
    enum check_level level = needed ? CHECK_ERROR : CHECK_INFO;
    const struct word word = {
        "vddk",
        needed ? "the disks are to be read by VDDK"
               : "without VDDK disks are read over HTTPS or, in a cold migration, by export",
        "unpack the VDDK package to /opt/vmware-vix-disklib-distrib, or name its directory with "
        "--vddk-libdir; 'vmferry doctor' says more",
        level,
        level,
    };
    say(&word, "", found, arg, "%s", why);
}

void
check_free_licence(const struct check_context *context, check_fn *found, void *arg)
{
    const struct word word = {
        "free-licence",
        "its interface may only be read: no snapshot, no tracking, no "
        "switching off, no export",
        "migrate machines that are off, over HTTPS or SSH, or give the host a "
        "licence (the evaluation mode will do)",
        context->snapshot ? CHECK_ERROR : CHECK_WARNING, CHECK_ERROR
    };
    say(&word, "", found, arg, "the ESXi has the free licence");
}
