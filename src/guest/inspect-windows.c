/* What a conversion needs of a Windows guest. Its registry is read inside the appliance. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "guest/look.h"

#define FREE_BYTES (100 * MIB)
#define HIBERNATED_BYTES 4 /* how a hibernation file begins */

static void check_space(struct look *look);
static void check_hibernation(struct look *look);
static void check_pending_updates(struct look *look);
static void check_registry(struct look *look);

void
inspect_windows(struct look *look)
{
    if (strncmp(look->root, "/dev/mapper/ldm_", 16) == 0)
        guest_report_add(&look->report, FINDING_ERROR, "dynamic-disk",
                         "Windows starts from a dynamic disk, which cannot be converted: turn it "
                         "into a basic disk first, or use --no-convert");
    check_space(look);
    check_hibernation(look);
    check_pending_updates(look);
    check_registry(look);
}

static void
check_space(struct look *look)
{
    struct guestfs_statvfs *fs = guestfs_statvfs(look->g, "/");
    uint64_t free_bytes = UINT64_MAX;
    if (fs)
        checked_mul((uint64_t)fs->bfree, (uint64_t)fs->bsize, &free_bytes);
    if (free_bytes < FREE_BYTES)
        guest_report_add(&look->report, FINDING_ERROR, "no-free-space",
                         "C: has %" PRIu64 " MiB free and a conversion needs 100: free some in the "
                         "guest",
                         free_bytes / MIB);
    if (fs)
        guestfs_free_statvfs(fs);
}

/* The file stays after a resume; then it begins with "wake". ntfs-3g's probe may have said so
 * already, but it knows only the hibernation of the volume that it looks at. */
static void
check_hibernation(struct look *look)
{
    for (size_t i = 0; i < look->report.n_findings; i++)
        if (strcmp(look->report.findings[i].code, "hibernated") == 0)
            return;
    auto_free char *path = guestfs_case_sensitive_path(look->g, "/hiberfil.sys");
    size_t len = 0;
    auto_free char *head = path && guestfs_is_file(look->g, path) == 1
                               ? guestfs_pread(look->g, path, HIBERNATED_BYTES, 0, &len)
                               : NULL;
    if (!head || len < HIBERNATED_BYTES)
        return;
    if (strncasecmp(head, "hibr", 4) == 0 || strncasecmp(head, "rstr", 4) == 0)
        guest_report_add(&look->report, FINDING_ERROR, "hibernated",
                         "Windows is hibernated, or was shut down with Fast Startup: start it once "
                         "more and shut it down with 'shutdown /s /t 0'");
}

static void
check_pending_updates(struct look *look)
{
    auto_free char *path = guestfs_case_sensitive_path(look->g, "/Windows/WinSxS/pending.xml");
    if (path && guestfs_is_file(look->g, path) == 1)
        guest_report_add(&look->report, FINDING_WARNING, "update-pending",
                         "Windows is in the middle of an update: restart it until it has ended");
}

/* ---- registry ---- */

/* The key below the current control set; 0: not there. */
static int64_t
find_key(struct look *look, const char *control_set, const char *const path[])
{
    int64_t node = guestfs_hivex_root(look->g);
    if (node > 0)
        node = guestfs_hivex_node_get_child(look->g, node, control_set);
    for (; *path && node > 0; path++)
        node = guestfs_hivex_node_get_child(look->g, node, *path);
    return node;
}

/* A REG_DWORD; fallback when it is not there. */
static uint32_t
get_dword(struct look *look, const char *control_set, const char *const path[], const char *name,
          uint32_t fallback)
{
    int64_t node = find_key(look, control_set, path);
    int64_t value = node > 0 ? guestfs_hivex_node_get_value(look->g, node, name) : 0;
    size_t len = 0;
    auto_free char *data = value > 0 ? guestfs_hivex_value_value(look->g, value, &len) : NULL;
    if (!data || len != 4)
        return fallback;
    const unsigned char *b = (const unsigned char *)data;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void
check_registry(struct look *look)
{
    static const char *const zone[] = { "Control", "TimeZoneInformation", NULL };
    static const char *const power[] = { "Control", "Session Manager", "Power", NULL };
    /* Windows keeps the clock in local time unless told. */
    look->report.facts.rtc_localtime = true;
    auto_free char *hive = guestfs_inspect_get_windows_system_hive(look->g, look->root);
    auto_free char *set = guestfs_inspect_get_windows_current_control_set(look->g, look->root);
    if (!hive || !set || guestfs_hivex_open(look->g, hive, -1) < 0) {
        guest_report_add(&look->report, FINDING_WARNING, "registry",
                         "the registry of Windows cannot be read: %.200s",
                         guestfs_last_error(look->g) ? guestfs_last_error(look->g) : "not found");
        return;
    }
    look->report.facts.rtc_localtime = get_dword(look, set, zone, "RealTimeIsUniversal", 0) == 0;
    if (get_dword(look, set, power, "HiberbootEnabled", 0) == 1)
        guest_report_add(&look->report, FINDING_INFO, "fast-startup",
                         "Fast Startup is on: shut Windows down with 'shutdown /s /t 0' before the "
                         "migration");
    guestfs_hivex_close(look->g);
}
