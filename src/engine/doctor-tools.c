/* The doctor: programs, their versions, what libguestfs needs, what Windows guests need. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/proc.h"
#include "engine/doctor-probe.h"
#include "guest/accel.h"

#define ASK_LIMIT_NS (20 * NS_PER_S)
#define GROUP "tools"

struct tool {
    const char *code;
    const char *argv[3];   /* what prints its version */
    unsigned major, minor; /* the oldest that we work with; 0.0: any */
    enum doctor_level missing;
    const char *cause, *cure;
};

static const struct tool tools[] = {
    { "virt-v2v",
      { "virt-v2v-in-place", "--version" },
      2,
      2,
      DOCTOR_ERROR,
      "it converts the guests",
      "install virt-v2v 2.2 or newer (package virt-v2v)" },
    { "qemu-img",
      { "qemu-img", "--version" },
      5,
      2,
      DOCTOR_ERROR,
      "it makes the overlays that a conversion works on",
      "install it (package qemu-utils, or qemu-img)" },
    { "qemu-nbd",
      { "qemu-nbd", "--version" },
      5,
      2,
      DOCTOR_ERROR,
      "it serves disks to the inspection, and reads formats that we do not",
      "install it (package qemu-utils, or qemu-img)" },
    { "nbdkit",
      { "nbdkit", "--version" },
      1,
      20,
      DOCTOR_WARNING,
      "disks of Xen hosts, and of ESXi over SSH, are read through it",
      "install it if such sources are wanted (package nbdkit)" },
    { "nbdkit-ssh",
      { "nbdkit", "ssh", "--version" },
      1,
      20,
      DOCTOR_WARNING,
      "disks of Xen hosts, and of ESXi over SSH, are read through this plugin of nbdkit",
      "install it if such sources are wanted (package nbdkit, or nbdkit-ssh-plugin)" },
    { "ssh",
      { "ssh", "-V" },
      0,
      0,
      DOCTOR_WARNING,
      "the description of a machine on a Xen host is asked for through it",
      "install it if such sources are wanted (package openssh-client, or openssh-clients)" },
};

static void look_at_tool(struct doctor *d, const struct tool *tool);
static void look_at_appliance(struct doctor *d);
static void look_at_acceleration(struct doctor *d);

void
doctor_tools(struct doctor *d)
{
    for (size_t i = 0; i < ARRAY_LEN(tools); i++)
        look_at_tool(d, &tools[i]);
    look_at_appliance(d);
    look_at_acceleration(d);
}

/* ---- versions ---- */

static void
keep_first_line(int stream, const char *line, size_t len, void *arg)
{
    char *kept = arg;
    (void)stream;
    if (!*kept && len > 0)
        snprintf(kept, 128, "%s", line);
}

/* The first run of digits and dots that has a dot in it: "qemu-img version 7.2.22 (Debian ...)". */
static const char *
version_in(const char *line, char version[32])
{
    while (*line) {
        size_t digits = strspn(line, "0123456789.");
        if (digits > 2 && digits < 32 && memchr(line, '.', digits)) {
            snprintf(version, 32, "%.*s", (int)digits, line);
            return version;
        }
        line += digits ? digits : 1;
    }
    return NULL;
}

static bool
is_older(const char *version, unsigned major, unsigned minor)
{
    unsigned has_major = 0, has_minor = 0;
    if (!version || sscanf(version, "%4u.%4u", &has_major, &has_minor) != 2)
        return false;
    return has_major < major || (has_major == major && has_minor < minor);
}

static void
look_at_tool(struct doctor *d, const struct tool *tool)
{
    char line[128] = "", version[32];
    const char *argv[] = { tool->argv[0], tool->argv[1], tool->argv[2], NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    struct err err = ERR_INIT;
    spec.argv = argv;
    struct doctor_word word = { .level = tool->missing,
                                .group = GROUP,
                                .code = tool->code,
                                .cause = tool->cause,
                                .cure = tool->cure };
    if (proc_run(&spec, clock_now_ns() + ASK_LIMIT_NS, keep_first_line, NULL, line, &err) < 0) {
        doctor_say(d, &word, "%s: %s", tool->code, err.text);
        return;
    }
    const char *has = version_in(line, version);
    if (is_older(has, tool->major, tool->minor)) {
        doctor_say(d, &word, "%s %s is older than %u.%u", tool->code, has, tool->major,
                   tool->minor);
        return;
    }
    word = (struct doctor_word){ .group = GROUP, .code = tool->code, .value = has };
    doctor_say(d, &word, "%s %s", tool->code, has ? has : line);
}

/* ---- the appliance of libguestfs ---- */

/* A directory of the path that has supermin.d, or a fixed appliance, in it. */
static bool
find_appliance(char ret[PATH_MAX], bool *ret_fixed)
{
    static const char usual[] = "/usr/lib/x86_64-linux-gnu/guestfs:/usr/lib64/guestfs:"
                                "/usr/lib/guestfs:/usr/local/lib/guestfs:/usr/local/lib64/guestfs";
    const char *path = getenv("LIBGUESTFS_PATH");
    if (!path || !*path)
        path = usual;
    while (*path) {
        size_t len = strcspn(path, ":");
        for (int fixed = 0; fixed < 2; fixed++) {
            int n = snprintf(ret, PATH_MAX, "%.*s%s", (int)MIN(len, (size_t)PATH_MAX), path,
                             fixed ? "/kernel" : "/supermin.d");
            if (n > 0 && n < PATH_MAX && access(ret, R_OK) == 0) {
                *ret_fixed = fixed;
                return true;
            }
        }
        path += len + (path[len] == ':');
    }
    return false;
}

/* The newest kernel in /boot that has its modules; -1: there is none; 0: none may be read. */
static int
find_kernel(char ret[NAME_MAX + 1])
{
    int found = -1;
    DIR *dir = opendir("/boot");
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char modules[PATH_MAX], kernel[PATH_MAX];
        const char *dash = strchr(entry->d_name, '-');
        if (strncmp(entry->d_name, "vmlinuz-", 8) != 0 || !dash)
            continue;
        snprintf(modules, sizeof modules, "/lib/modules/%s", dash + 1);
        snprintf(kernel, sizeof kernel, "/boot/%s", entry->d_name);
        if (access(modules, F_OK) < 0)
            continue;
        int readable = access(kernel, R_OK) == 0;
        if (readable > found || (readable == found && strverscmp(entry->d_name, ret) > 0))
            snprintf(ret, NAME_MAX + 1, "%s", entry->d_name);
        found = MAX(found, readable);
    }
    if (dir)
        closedir(dir);
    return found;
}

static void
look_at_appliance(struct doctor *d)
{
    char appliance[PATH_MAX], kernel[NAME_MAX + 1] = "";
    bool fixed = false;
    struct doctor_word word = { .level = DOCTOR_ERROR,
                                .group = GROUP,
                                .code = "libguestfs",
                                .cause = "guests are looked into and converted in the small "
                                         "virtual machine of libguestfs" };
    if (!find_appliance(appliance, &fixed)) {
        word.cure = "install libguestfs with its appliance (package libguestfs0, or "
                    "libguestfs-appliance), or say where it is in LIBGUESTFS_PATH";
        doctor_say(d, &word, "the appliance of libguestfs was not found");
        return;
    }
    int found = fixed || getenv("SUPERMIN_KERNEL") ? 1 : find_kernel(kernel);
    if (found < 0) {
        word.cure = "install a kernel (package linux-image-cloud-amd64, or kernel-core); it needs "
                    "not be the one that runs";
        doctor_say(d, &word,
                   "there is no kernel with its modules in /boot for the appliance of "
                   "libguestfs");
        return;
    }
    if (found == 0) {
        word.cure = "chmod 0644 /boot/vmlinuz-*, or run as root";
        doctor_say(d, &word,
                   "/boot/%s cannot be read by this user, and the appliance of "
                   "libguestfs is made from it",
                   kernel);
        return;
    }
    word = (struct doctor_word){ .group = GROUP, .code = "libguestfs", .value = appliance };
    doctor_say(d, &word, "the appliance of libguestfs: %s%s%s", appliance, *kernel ? ", " : "",
               kernel);
}

/* ---- acceleration ---- */

static void
look_at_acceleration(struct doctor *d)
{
    enum accel accel;
    char why[ACCEL_WHY_MAX];
    struct err err = ERR_INIT;
    if (accel_probe(&accel, why, &err) < 0) {
        doctor_say(d,
                   &(struct doctor_word){
                       .level = DOCTOR_ERROR,
                       .group = GROUP,
                       .code = "acceleration",
                       .cause = "the appliance of libguestfs is a QEMU",
                       .cure = "install it (package qemu-system-x86, or qemu-kvm)",
                   },
                   "%s", err.text);
        return;
    }
    struct doctor_word word = { .group = GROUP,
                                .code = "acceleration",
                                .value = accel_name(accel) };
    if (accel == ACCEL_TCG) {
        word.level = DOCTOR_WARNING;
        word.cause = "conversions take several times as long without it";
        word.cure = "use a host with hardware virtualisation, turn on nested virtualisation below "
                    "it, or let this user open /dev/kvm (group kvm)";
        doctor_say(d, &word, "no hardware acceleration: %s", why);
        return;
    }
    doctor_say(d, &word, "hardware acceleration works: %s", why);
}

/* ---- Windows ---- */

static const char *
data_dir(void)
{
    const char *dir = getenv("VIRT_TOOLS_DATA_DIR");
    return dir && *dir ? dir : "/usr/share/virt-tools";
}

static void
look_at_drivers(struct doctor *d)
{
    static const char *const usual[] = { "/usr/share/virtio-win/virtio-win.iso",
                                         "/usr/share/virtio-win" };
    const char *given = getenv("VIRTIO_WIN");
    const char *old = getenv("VIRTIO_WIN_DIR");
    const char *found = NULL;
    if (!given || !*given)
        given = old && *old ? old : NULL;
    for (size_t i = 0; !given && !found && i < ARRAY_LEN(usual); i++)
        if (access(usual[i], R_OK) == 0)
            found = usual[i];
    if (given && access(given, R_OK) == 0)
        found = given;
    if (found) {
        doctor_say(d,
                   &(struct doctor_word){ .group = "windows",
                                          .code = "virtio-win",
                                          .value = found,
                                          .origin = given ? "VIRTIO_WIN" : "found by looking" },
                   "drivers for Windows guests: %s", found);
        return;
    }
    doctor_say(
        d,
        &(struct doctor_word){
            .level = DOCTOR_WARNING,
            .group = "windows",
            .code = "virtio-win",
            .cause = "a Windows guest gets no virtio drivers: it runs with slow emulated "
                     "disks and network cards",
            .cure = "put virtio-win.iso into /usr/share/virtio-win, or name it in VIRTIO_WIN",
        },
        "%s: no drivers for Windows guests", given ? given : usual[0]);
}

void
doctor_windows(struct doctor *d)
{
    static const char *const helpers[] = { "rhsrvany.exe", "pvvxsvc.exe" };
    char path[PATH_MAX];
    look_at_drivers(d);
    for (size_t i = 0; i < ARRAY_LEN(helpers); i++) {
        snprintf(path, sizeof path, "%s/%s", data_dir(), helpers[i]);
        if (access(path, R_OK) < 0)
            continue;
        doctor_say(d,
                   &(struct doctor_word){ .group = "windows", .code = "rhsrvany", .value = path },
                   "service helper for Windows guests: %s", path);
        return;
    }
    doctor_say(d,
               &(struct doctor_word){
                   .level = DOCTOR_WARNING,
                   .group = "windows",
                   .code = "rhsrvany",
                   .cause = "virt-v2v refuses Windows guests without it: it starts the scripts of "
                            "their first boot",
                   .cure =
                       "put rhsrvany.exe there (package rhsrvany or mingw-srvany-redistributable),"
                       " or name its directory in VIRT_TOOLS_DATA_DIR",
               },
               "%s: neither rhsrvany.exe nor pvvxsvc.exe is there", data_dir());
}
