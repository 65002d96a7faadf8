#include "guest/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "guest/accel-boot.h"

/* Where distributions keep the QEMU that libguestfs uses. */
static const char *const qemu_names[] = { "qemu-system-x86_64", "/usr/libexec/qemu-kvm",
                                          "/usr/bin/qemu-kvm", "/usr/bin/kvm" };

/* SeaBIOS boots from no smaller disk on AHCI. */
#define BOOT_DISK_BYTES (1 << 20)
#define CACHE_MAX 4096
#define KEY_MAX 1024

static bool kvm_opens(char ret_why[ACCEL_WHY_MAX]);
static bool find_qemu(char ret_path[PATH_MAX]);
static int make_key(const char *qemu, char key[KEY_MAX]);
static bool cache_read(const char *key, enum accel *ret_accel, char why[ACCEL_WHY_MAX]);
static void cache_write(const char *key, enum accel accel, const char *why);

int
accel_probe(enum accel *ret_accel, char ret_why[ACCEL_WHY_MAX], struct err *err)
{
    const char *wish = getenv("VMFERRY_ACCEL");
    if (wish && *wish) {
        if (accel_from_name(wish, ret_accel, err) < 0)
            return err_prefix(err, "VMFERRY_ACCEL");
        snprintf(ret_why, ACCEL_WHY_MAX, "VMFERRY_ACCEL says so");
        return 0;
    }
    /* Not remembered: modules get loaded and users get rights without a reboot. */
    if (!kvm_opens(ret_why)) {
        *ret_accel = ACCEL_TCG;
        return 0;
    }
    char qemu[PATH_MAX];
    if (!find_qemu(qemu))
        return err_set(err, ERR_NOT_FOUND,
                       "qemu-system-x86_64: program not found: is it installed?");
    char key[KEY_MAX];
    bool keyed = make_key(qemu, key) == 0;
    if (keyed && cache_read(key, ret_accel, ret_why))
        return 0;
    *ret_accel = accel_try_kvm(qemu, ACCEL_PROBE_LIMIT_NS, ret_why) ? ACCEL_KVM : ACCEL_TCG;
    if (keyed)
        cache_write(key, *ret_accel, ret_why);
    return 0;
}

void
accel_forget_kvm(const char *why)
{
    char qemu[PATH_MAX], key[KEY_MAX];
    if (find_qemu(qemu) && make_key(qemu, key) == 0)
        cache_write(key, ACCEL_TCG, why);
}

const char *const *
accel_env(enum accel accel)
{
    /* The appliance's kernel talks through a serial port, and every letter leaves the emulator: a
     * third of its start. Its errors are still said. */
    static const char *const kvm[] = { "LIBGUESTFS_BACKEND=direct", NULL };
    static const char *const tcg[] = { "LIBGUESTFS_BACKEND=direct",
                                       "LIBGUESTFS_BACKEND_SETTINGS=force_tcg", NULL };
    static const char *const tcg_quiet[] = { "LIBGUESTFS_BACKEND=direct",
                                             "LIBGUESTFS_BACKEND_SETTINGS=force_tcg",
                                             "LIBGUESTFS_APPEND=quiet", NULL };
    if (accel == ACCEL_KVM)
        return kvm;
    return getenv("LIBGUESTFS_APPEND") ? tcg : tcg_quiet;
}

const char *
accel_name(enum accel accel)
{
    return accel == ACCEL_KVM ? "kvm" : "tcg";
}

int
accel_from_name(const char *name, enum accel *ret_accel, struct err *err)
{
    if (strcmp(name, "kvm") == 0)
        *ret_accel = ACCEL_KVM;
    else if (strcmp(name, "tcg") == 0)
        *ret_accel = ACCEL_TCG;
    else
        return err_set(err, ERR_INVALID, "'%s' is neither kvm nor tcg", name);
    return 0;
}

/* ---- the probe ---- */

struct probe {
    bool spoke;
    char
        complaint[ACCEL_WHY_MAX / 2]; /* QEMU's first line on stderr: the later ones are its fall */
};

static void
probe_line(int stream, const char *line, size_t len, void *arg)
{
    struct probe *probe = arg;
    if (stream == 1 && strstr(line, ACCEL_BOOT_WORD))
        probe->spoke = true;
    if (stream == 2 && len > 0 && !probe->complaint[0] && !strstr(line, "warning:")) {
        const char *colon = strncmp(line, "qemu", 4) == 0 ? strstr(line, ": ") : NULL;
        const char *say = colon ? colon + 2 : line;
        say += strncmp(say, "error: ", 7) == 0 ? 7 : 0;
        snprintf(probe->complaint, sizeof probe->complaint, "%s", say);
    }
}

static int
make_boot_disk(const char *path, struct err *err)
{
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, BOOT_DISK_BYTES) < 0)
        return err_errno(err, errno, "%s: create", path);
    return fd_write(fd, accel_boot_sector, sizeof accel_boot_sector, path, err);
}

static int
run_boot_disk(const char *qemu, const char *dir, int64_t limit_ns, struct probe *probe,
              struct err *err)
{
    /* Run inside the directory, so that its name is in no option that commas or colons break. */
    auto_free char *disk = NULL;
    if (asprintf(&disk, "%s/boot.img", dir) < 0) {
        disk = NULL;
        return err_errno(err, ENOMEM, "probe");
    }
    if (make_boot_disk(disk, err) < 0)
        return -1;
    const char *argv[] = { qemu,          "-no-user-config",
                           "-nodefaults", "-display",
                           "none",        "-no-reboot",
                           "-m",          "64",
                           "-machine",    "q35",
                           "-cpu",        "max",
                           "-accel",      "kvm",
                           "-serial",     "stdio",
                           "-drive",      "file=boot.img,format=raw",
                           NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    spec.dir = dir;
    return proc_run(&spec, clock_now_ns() + limit_ns, probe_line, NULL, probe, err);
}

static bool
kvm_opens(char ret_why[ACCEL_WHY_MAX])
{
    auto_close int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        snprintf(ret_why, ACCEL_WHY_MAX, "/dev/kvm: %s", strerror(errno));
    return kvm >= 0;
}

bool
accel_try_kvm(const char *qemu, int64_t limit_ns, char ret_why[ACCEL_WHY_MAX])
{
    struct probe probe = { 0 };
    struct err err = ERR_INIT, ignored = ERR_INIT;
    auto_free char *dir = NULL;
    if (dir_make_private(NULL, &dir, &err) == 0) {
        run_boot_disk(qemu, dir, limit_ns, &probe, &err);
        dir_remove(dir, &ignored);
    }
    if (probe.spoke)
        snprintf(ret_why, ACCEL_WHY_MAX, "a guest started with it and said so");
    else if (err.kind == ERR_NONE)
        snprintf(ret_why, ACCEL_WHY_MAX, "a guest started with KVM stopped before it could speak");
    else if (err.kind == ERR_UNAVAILABLE)
        snprintf(ret_why, ACCEL_WHY_MAX, "a guest started with KVM hung for %d s",
                 (int)(limit_ns / NS_PER_S));
    else
        snprintf(ret_why, ACCEL_WHY_MAX, "QEMU with KVM: %.150s",
                 probe.complaint[0] ? probe.complaint : err.text);
    return probe.spoke;
}

/* ---- memory ---- */

static bool
find_in_path(const char *name, char ret_path[PATH_MAX])
{
    const char *path = getenv("PATH");
    if (!path)
        path = "/usr/local/bin:/usr/bin:/bin";
    while (*path) {
        size_t len = strcspn(path, ":");
        int n = snprintf(ret_path, PATH_MAX, "%.*s/%s", (int)len, path, name);
        if (n > 0 && n < PATH_MAX && access(ret_path, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

static bool
find_qemu(char ret_path[PATH_MAX])
{
    const char *hv = getenv("LIBGUESTFS_HV");
    if (hv && *hv == '/') {
        snprintf(ret_path, PATH_MAX, "%s", hv);
        return true;
    }
    for (size_t i = 0; i < sizeof qemu_names / sizeof *qemu_names; i++) {
        if (*qemu_names[i] != '/') {
            if (find_in_path(qemu_names[i], ret_path))
                return true;
        } else if (access(qemu_names[i], X_OK) == 0) {
            snprintf(ret_path, PATH_MAX, "%s", qemu_names[i]);
            return true;
        }
    }
    return false;
}

/* What the answer depends on: this boot (modules, BIOS settings, the host we are nested in), the
 * kernel, the QEMU. */
static int
make_key(const char *qemu, char key[KEY_MAX])
{
    struct err ignored = ERR_INIT;
    auto_free char *boot_id = NULL;
    struct utsname uts;
    struct stat st;
    if (file_read("/proc/sys/kernel/random/boot_id", 64, &boot_id, NULL, &ignored) < 0 ||
        uname(&uts) < 0 || stat(qemu, &st) < 0)
        return -1;
    boot_id[strcspn(boot_id, "\n")] = '\0';
    int n = snprintf(key, KEY_MAX, "%s %s %" PRIdMAX ".%09ld %" PRIdMAX " %s", boot_id, uts.release,
                     (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (intmax_t)st.st_size, qemu);
    return n > 0 && n < KEY_MAX ? 0 : -1;
}

/* The directory is made when it is wanted for writing. */
static bool
cache_path(bool make, char path[PATH_MAX])
{
    const char *base = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int n = -1;
    if (base && *base == '/')
        n = snprintf(path, PATH_MAX, "%s", base);
    else if (geteuid() == 0)
        n = snprintf(path, PATH_MAX, "/var/cache");
    else if (home && *home == '/')
        n = snprintf(path, PATH_MAX, "%s/.cache", home);
    if (n < 0 || n >= PATH_MAX - 32)
        return false;
    if (make)
        mkdir(path, 0700);
    snprintf(path + n, 32, "/vmferry");
    if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
        return false;
    snprintf(path + n, 32, "/vmferry/accel");
    return true;
}

/* Three lines: the key, the word, the reason. Anything else is as good as no file. */
static bool
cache_read(const char *key, enum accel *ret_accel, char why[ACCEL_WHY_MAX])
{
    char path[PATH_MAX];
    struct err ignored = ERR_INIT;
    auto_free char *text = NULL;
    if (!cache_path(false, path) || file_read(path, CACHE_MAX, &text, NULL, &ignored) < 0)
        return false;
    char *save = text;
    const char *lines[3];
    for (int i = 0; i < 3; i++) {
        lines[i] = strsep(&save, "\n");
        if (!lines[i])
            return false;
    }
    if (strcmp(lines[0], key) != 0 || accel_from_name(lines[1], ret_accel, &ignored) < 0)
        return false;
    snprintf(why, ACCEL_WHY_MAX, "%.*s", ACCEL_WHY_MAX - 1, lines[2]);
    return true;
}

static void
cache_write(const char *key, enum accel accel, const char *why)
{
    char path[PATH_MAX], text[CACHE_MAX];
    struct err err = ERR_INIT;
    snprintf(text, sizeof text, "%s\n%s\n%.*s\n", key, accel_name(accel), (int)strcspn(why, "\n"),
             why);
    if (!cache_path(true, path) || file_write_atomic(path, text, strlen(text), 0600, &err) < 0)
        log_debug("the answer about acceleration is not kept: %s",
                  err.kind ? err.text : "no place for a cache");
}
