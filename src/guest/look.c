#include "guest/look.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/fd.h"
#include "model/vm.h"
#include "wire/ipc.h"

#define MEMSIZE_MIB 768
#define MEMSIZE_KEYS_MIB 2048 /* opening LUKS2 takes 1 GiB by its default parameters */
#define MEMSIZE_MAX_MIB 65536
#define SCRATCH_BYTES ((int64_t)1 << 20)
#define KEY_MAX_BYTES 65536
#define CRYPT_ROUNDS 4 /* LUKS in LVM in LUKS ... */

static int add_disks(struct look *look, struct err *err);
static int unlock_all(struct look *look, struct err *err);
static int unlock_some(struct look *look, struct err *err);
static void choose_root(struct look *look);
static void fill_facts(struct look *look);

/* ---- starting ---- */

static void
write_log(guestfs_h *g, void *opaque, uint64_t event, int handle, int flags, const char *text,
          size_t len, const uint64_t *array, size_t array_len)
{
    (void)g, (void)opaque, (void)handle, (void)flags, (void)array, (void)array_len;
    struct err ignored = ERR_INIT;
    /* The appliance's words come as it prints them, ours as lines without an end. */
    fd_write(STDERR_FILENO, text, len, "log", &ignored);
    if (event != GUESTFS_EVENT_APPLIANCE)
        fd_write(STDERR_FILENO, "\n", 1, "log", &ignored);
}

static bool
has_keys(const struct look *look)
{
    return json_array_size(json_object_get(look->start, "keys")) > 0;
}

static int
set_up(struct look *look, struct err *err)
{
    guestfs_h *g = look->g = guestfs_create();
    if (!g)
        return err_errno(err, errno, "start libguestfs");
    uint64_t memsize =
        json_get_u64(look->start, "memsize_mib", has_keys(look) ? MEMSIZE_KEYS_MIB : MEMSIZE_MIB);
    bool tcg = strcmp(json_get_str(look->start, "accel", "tcg"), "tcg") == 0;
    guestfs_set_error_handler(g, NULL, NULL);
    guestfs_set_verbose(g, json_get_bool(look->start, "verbose", false));
    guestfs_set_identifier(g, "vmferry");
    if (guestfs_set_event_callback(
            g, write_log, GUESTFS_EVENT_APPLIANCE | GUESTFS_EVENT_LIBRARY | GUESTFS_EVENT_WARNING,
            0, NULL) < 0 ||
        guestfs_set_backend(g, "direct") < 0 ||
        (tcg && guestfs_set_backend_setting(g, "force_tcg", "1") < 0) ||
        guestfs_set_memsize(g, (int)MIN(memsize, (uint64_t)MEMSIZE_MAX_MIB)) < 0 ||
        guestfs_set_smp(g, sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1) < 0)
        return look_error(look, err, "set libguestfs up");
    return 0;
}

int
look_open(struct look *look, struct err *err)
{
    look_step(look, "launch", "starting the appliance");
    if (set_up(look, err) < 0 || add_disks(look, err) < 0)
        return -1;
    if (guestfs_launch(look->g) < 0)
        return look_error(look, err, "start the appliance");
    look_step(look, "launched", "looking for the disks' volumes");
    return has_keys(look) ? unlock_all(look, err) : 0;
}

int
look_find(struct look *look, struct err *err)
{
    look_step(look, "inspect", "looking for the operating system");
    look->roots = guestfs_inspect_os(look->g);
    if (!look->roots && guestfs_is_ready(look->g) != 1)
        return look_error(look, err, "look for the operating system");
    if (!look->roots) {
        guest_report_add(&look->report, FINDING_ERROR, "inspection",
                         "the operating system cannot be recognised: %.300s",
                         guestfs_last_error(look->g));
        return 0;
    }
    /* Two seconds that only the reason for finding nothing is worth. */
    if (!has_keys(look) && !look->roots[0] && unlock_some(look, err) < 0)
        return -1;
    choose_root(look);
    if (look->root)
        fill_facts(look);
    return 0;
}

/* An empty disk still takes its letter. */
static int
add_disks(struct look *look, struct err *err)
{
    size_t i;
    json_t *disk;
    json_array_foreach (json_object_get(look->start, "disks"), i, disk) {
        const char *socket = json_get_str(disk, "socket", NULL);
        auto_free char *server = NULL;
        if (socket && asprintf(&server, "unix:%s", socket) < 0)
            return err_errno(err, ENOMEM, "disk %zu", i + 1);
        char *servers[] = { server, NULL };
        int r = socket ? guestfs_add_drive_opts(look->g, "",                                //
                                                GUESTFS_ADD_DRIVE_OPTS_READONLY,            //
                                                !look->writable,                            //
                                                GUESTFS_ADD_DRIVE_OPTS_FORMAT, "raw",       //
                                                GUESTFS_ADD_DRIVE_OPTS_PROTOCOL, "nbd",     //
                                                GUESTFS_ADD_DRIVE_OPTS_SERVER, servers, -1) //
                       : guestfs_add_drive_scratch(look->g, SCRATCH_BYTES, -1);
        if (r < 0)
            return look_error(look, err, "give a disk to the appliance");
    }
    return 0;
}

/* ---- encrypted volumes ---- */

/* The passphrase in "ID:key:SECRET" or "ID:file:PATH" if ID means this volume; NULL: not. */
static char *
key_for(const char *key, const char *device, const char *uuid)
{
    size_t id = strcspn(key, ":");
    bool ours = strncmp(key, "all:", 4) == 0 ||
                (strlen(device) == id && strncmp(key, device, id) == 0) ||
                (uuid && strlen(uuid) == id && strncasecmp(key, uuid, id) == 0);
    if (!ours)
        return NULL;
    if (strncmp(key + id, ":key:", 5) == 0)
        return strdup(key + id + 5);
    char *text = NULL;
    struct err ignored = ERR_INIT;
    if (strncmp(key + id, ":file:", 6) != 0 ||
        file_read(key + id + 6, KEY_MAX_BYTES, &text, NULL, &ignored) < 0)
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static bool
unlock_clevis(struct look *look, const char *key, const char *device, const char *name)
{
    size_t id = strcspn(key, ":");
    if (strcmp(key + id, ":clevis") != 0)
        return false;
#ifdef GUESTFS_HAVE_CLEVIS_LUKS_UNLOCK
    return (strncmp(key, "all:", 4) == 0 || strncmp(key, device, id) == 0) &&
           guestfs_clevis_luks_unlock(look->g, device, name) == 0;
#else
    (void)look, (void)device, (void)name;
    return false;
#endif
}

static bool
unlock(struct look *look, const char *device, const char *type, const char *name)
{
    bool luks = strcmp(type, "crypto_LUKS") == 0;
    auto_free char *uuid = luks ? guestfs_luks_uuid(look->g, device) : NULL;
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get(look->start, "keys"), i, item) {
        const char *key = json_string_value(item);
        if (!key)
            continue;
        if (unlock_clevis(look, key, device, name))
            return true;
        auto_free char *secret = key_for(key, device, uuid);
        if (!secret)
            continue;
        int r = guestfs_cryptsetup_open(
            look->g, device, secret, name, GUESTFS_CRYPTSETUP_OPEN_READONLY, !look->writable,
            GUESTFS_CRYPTSETUP_OPEN_CRYPTTYPE, luks ? "luks" : "bitlk", -1);
        explicit_bzero(secret, strlen(secret));
        if (r == 0)
            return true;
    }
    return false;
}

static bool
is_open(const struct look *look, const char *device)
{
    for (size_t i = 0; i < look->n_opened; i++)
        if (look->opened[i] && strcmp(look->opened[i], device) == 0)
            return true;
    return false;
}

static void
unlock_volumes(struct look *look, char **devices)
{
    for (; devices && *devices; devices++) {
        auto_free char *type = guestfs_vfs_type(look->g, *devices);
        bool encrypted =
            type && (strcmp(type, "crypto_LUKS") == 0 || strcmp(type, "BitLocker") == 0);
        if (!encrypted || is_open(look, *devices))
            continue;
        char name[32];
        snprintf(name, sizeof name, "vmferry%zu", look->n_opened);
        if (look->n_opened < LOOK_MAX_CRYPT && unlock(look, *devices, type, name))
            look->opened[look->n_opened++] = strdup(*devices);
        else
            look->n_locked++;
    }
}

/* One pass over what there is now: how many more it opened, -1 on failure. */
static int
unlock_some(struct look *look, struct err *err)
{
    auto_strv char **disks = guestfs_list_devices(look->g);
    auto_strv char **partitions = guestfs_list_partitions(look->g);
    auto_strv char **volumes = guestfs_lvs(look->g);
    if (!disks || !partitions || !volumes)
        return look_error(look, err, "list the volumes of the disks");
    size_t before = look->n_opened;
    look->n_locked = 0;
    unlock_volumes(look, disks);
    unlock_volumes(look, partitions);
    unlock_volumes(look, volumes);
    return (int)(look->n_opened - before);
}

/* Opening one may show volume groups, and others in them: again until nothing new opens. */
static int
unlock_all(struct look *look, struct err *err)
{
    for (int round = 0; round < CRYPT_ROUNDS; round++) {
        int n = unlock_some(look, err);
        if (n <= 0)
            return n;
        if (guestfs_lvm_scan(look->g, 1) < 0)
            return look_error(look, err, "look for volume groups");
    }
    return 0;
}

/* ---- which system ---- */

static void
list_roots(const struct look *look, char *text, size_t size)
{
    size_t used = 0;
    for (char **root = look->roots; *root && used < size; root++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", *root);
}

static void
choose_root(struct look *look)
{
    struct guest_report *report = &look->report;
    const char *wish = json_get_str(look->start, "root", "first");
    char list[256] = "";
    list_roots(look, list, sizeof list);
    if (!look->roots[0]) {
        if (look->n_locked > 0)
            guest_report_add(report, FINDING_ERROR, "encrypted",
                             "no operating system was found, and %zu encrypted volumes could not "
                             "be opened: give their keys with --key",
                             look->n_locked);
        else
            guest_report_add(report, FINDING_ERROR, "no-system",
                             "no operating system was found on the disks: one that is not "
                             "supported, or a disk is missing; copy it with --no-convert");
        return;
    }
    if (look->n_locked > 0)
        guest_report_add(report, FINDING_WARNING, "encrypted",
                         "%zu encrypted volumes could not be opened and stay as they are",
                         look->n_locked);
    if (look->roots[1])
        guest_report_add(report, strcmp(wish, "single") == 0 ? FINDING_ERROR : FINDING_WARNING,
                         "multi-boot",
                         "there are several operating systems: %s; choose with --root", list);
    for (char **root = look->roots; *root; root++)
        if (strcmp(wish, "first") == 0 || strcmp(wish, "single") == 0 || strcmp(wish, *root) == 0) {
            look->root = *root;
            return;
        }
    guest_report_add(report, FINDING_ERROR, "no-such-root",
                     "no operating system on %s; there is one on: %s", wish, list);
}

/* libguestfs says "unknown" where it does not know. */
static void
take(char **ret, char *text)
{
    if (text && strcmp(text, "unknown") != 0 && *text)
        *ret = text;
    else
        free(text);
}

static void
fill_facts(struct look *look)
{
    guestfs_h *g = look->g;
    const char *root = look->root;
    struct guest_facts *facts = &look->report.facts;
    auto_free char *type = guestfs_inspect_get_type(g, root);
    facts->type = !type                          ? GUEST_UNKNOWN
                  : strcmp(type, "linux") == 0   ? GUEST_LINUX
                  : strcmp(type, "windows") == 0 ? GUEST_WINDOWS
                  : strcmp(type, "unknown") == 0 ? GUEST_UNKNOWN
                                                 : GUEST_OTHER;
    facts->major = MAX(guestfs_inspect_get_major_version(g, root), 0);
    facts->minor = MAX(guestfs_inspect_get_minor_version(g, root), 0);
    take(&facts->distro, guestfs_inspect_get_distro(g, root));
    take(&facts->arch, guestfs_inspect_get_arch(g, root));
    take(&facts->hostname, guestfs_inspect_get_hostname(g, root));
    take(&facts->osinfo, guestfs_inspect_get_osinfo(g, root));
    facts->root = strdup(root);
    auto_free char *product = guestfs_inspect_get_product_name(g, root);
    /* Debian's is "12.15", which tells nobody anything. */
    if (product && *product && (*product < '0' || *product > '9') &&
        strcmp(product, "unknown") != 0)
        facts->product_name = TAKE_PTR(product);
    else if (facts->distro &&
             asprintf(&facts->product_name, "%s %d", facts->distro, facts->major) < 0)
        facts->product_name = NULL;
}

/* ---- mounting ---- */

static int
by_mount_length(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    size_t left = strlen(*x), right = strlen(*y);
    return left < right ? -1 : left > right;
}

int
look_mount(struct look *look, struct err *err)
{
    look_step(look, "mount", "mounting its file systems");
    look->mounts = guestfs_inspect_get_mountpoints(look->g, look->root);
    if (!look->mounts)
        return look_error(look, err, "list mount points");
    size_t n = 0;
    while (look->mounts[n] && look->mounts[n + 1])
        n += 2;
    qsort(look->mounts, n / 2, 2 * sizeof *look->mounts, by_mount_length);
    for (size_t i = 0; i < n; i += 2) {
        const char *where = look->mounts[i], *device = look->mounts[i + 1];
        int r = look->writable ? guestfs_mount(look->g, device, where)
                               : guestfs_mount_ro(look->g, device, where);
        if (r == 0)
            continue;
        bool is_root = strcmp(where, "/") == 0;
        guest_report_add(&look->report, is_root ? FINDING_ERROR : FINDING_WARNING, "mount-failed",
                         "%s on %s cannot be mounted: %.300s", device, where,
                         guestfs_last_error(look->g));
        if (is_root) {
            look->root = NULL;
            return 0;
        }
    }
    return 0;
}

int
look_shut(struct look *look, struct err *err)
{
    look_step(look, "shut", "stopping the appliance");
    if (look->g && (guestfs_umount_all(look->g) < 0 || guestfs_shutdown(look->g) < 0))
        return look_error(look, err, "stop the appliance");
    return 0;
}

void
look_free(struct look *look)
{
    guest_facts_free(&look->report.facts);
    for (size_t i = 0; i < look->n_opened; i++)
        free(look->opened[i]);
    strv_free(&look->roots);
    strv_free(&look->mounts);
    if (look->g)
        guestfs_close(look->g);
}

/* ---- small things ---- */

void
look_step(struct look *look, const char *step, const char *text)
{
    /* A parent that has gone shows at the result. */
    struct err ignored = ERR_INIT;
    ipc_send(look->ipc_fd, json_pack("{s:s, s:s, s:s}", "type", "step", "step", step, "text", text),
             &ignored);
}

char *
look_read(struct look *look, const char *path)
{
    size_t len = 0;
    if (guestfs_is_file_opts(look->g, path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1) != 1 ||
        guestfs_filesize(look->g, path) > LOOK_FILE_MAX)
        return NULL;
    /* NUL-terminated by libguestfs. */
    return guestfs_read_file(look->g, path, &len);
}

char **
look_glob(struct look *look, const char *pattern)
{
    char **names = guestfs_glob_expand(look->g, pattern);
    return names ? names : calloc(1, sizeof *names);
}

bool
look_exists(struct look *look, const char *pattern)
{
    auto_strv char **names = look_glob(look, pattern);
    return names && names[0];
}

int
look_error(struct look *look, struct err *err, const char *what)
{
    const char *text = guestfs_last_error(look->g);
    int errnum = guestfs_last_errno(look->g);
    enum err_kind kind = errnum == ENOSPC || errnum == EIO ? ERR_IO : ERR_UNAVAILABLE;
    return err_set(err, kind, "%s: %.800s", what, text ? text : "libguestfs does not say why");
}

void
strv_free(char ***strv)
{
    for (char **s = *strv; s && *s; s++)
        free(*s);
    free(*strv);
    *strv = NULL;
}
