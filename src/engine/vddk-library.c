#include "engine/vddk-library.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "wire/vddk-file.h"

#define LINKER "/lib64/ld-linux-x86-64.so.2"
#define LINKER_LIMIT_NS (20 * NS_PER_S)
#define MISSING_MAX 512

const char *const vddk_library_places[] = {
    "/usr/lib/vmware-vix-disklib",
    "/usr/lib/vmware-vix-disklib-distrib",
    "/usr/lib64/vmware-vix-disklib",
    "/usr/lib64/vmware-vix-disklib-distrib",
    "/usr/local/lib/vmware-vix-disklib-distrib",
    "/usr/local/vmware-vix-disklib-distrib",
    "/usr/share/vmware-vix-disklib-distrib",
    "/opt/vmware-vix-disklib-distrib",
    "/opt/vmware/vmware-vix-disklib-distrib",
    "/opt/vddk/vmware-vix-disklib-distrib",
    "/vmware-vix-disklib-distrib",
    NULL,
};

static bool look_in(const char *libdir, struct vddk_library *ret);
static bool is_newer(const struct vddk_library *a, const struct vddk_library *b);
static int check_elf(const char *path, struct err *err);

int
vddk_library_find(const char *libdir, struct vddk_library *ret, struct err *err)
{
    if (!libdir)
        return vddk_library_find_in(vddk_library_places, ret, err);
    if (!look_in(libdir, ret))
        return err_set(err, ERR_NOT_FOUND,
                       "%s: there is no libvixDiskLib.so.9, .8, .7 or .6 in it nor in its lib64: "
                       "name the directory that the VDDK package unpacks to "
                       "(vmware-vix-disklib-distrib)",
                       libdir);
    return check_elf(ret->path, err);
}

int
vddk_library_find_in(const char *const *places, struct vddk_library *ret, struct err *err)
{
    struct vddk_library found;
    struct err why = ERR_INIT;
    bool any = false;
    for (; *places; places++) {
        if (!look_in(*places, &found) || check_elf(found.path, &why) < 0)
            continue;
        if (!any || is_newer(&found, ret))
            *ret = found;
        any = true;
    }
    if (any)
        return 0;
    if (why.kind != ERR_NONE) {
        *err = why;
        return -1;
    }
    return err_set(err, ERR_NOT_FOUND,
                   "no VDDK library is in its usual places (/opt/vmware-vix-disklib-distrib, "
                   "/usr/lib/vmware-vix-disklib and the like)");
}

/* ---- one directory ---- */

/* "libvixDiskLib.so.8.0.3" gives "8.0.3". */
static void
read_version(struct vddk_library *library)
{
    const char *name = strrchr(library->path, '/');
    const char *so = name ? strstr(name, ".so.") : NULL;
    snprintf(library->version, sizeof library->version, "%u", library->major);
    if (!so)
        return;
    size_t len = strspn(so + 4, "0123456789.");
    if (len > 0 && len < sizeof library->version)
        snprintf(library->version, sizeof library->version, "%.*s", (int)len, so + 4);
}

static bool
look_in(const char *libdir, struct vddk_library *ret)
{
    static const char plugin[] = "libdiskLibPlugin.so";
    struct vddk_library library = { .major = 0 };
    char file[PATH_MAX], beside[PATH_MAX + sizeof plugin];
    if (strlen(libdir) >= sizeof library.libdir || !vddk_file_find(libdir, file, &library.major) ||
        !realpath(file, library.path))
        return false;
    snprintf(library.libdir, sizeof library.libdir, "%s", libdir);
    read_version(&library);
    snprintf(beside, sizeof beside, "%.*s/%s", (int)(strrchr(file, '/') - file), file, plugin);
    library.plugin = access(beside, R_OK) == 0;
    *ret = library;
    return true;
}

static bool
is_newer(const struct vddk_library *a, const struct vddk_library *b)
{
    return strverscmp(a->version, b->version) > 0;
}

/* Is it a library for the machine that we run on, as far as its header says? */
static int
check_elf(const char *path, struct err *err)
{
    Elf64_Ehdr header;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: open", path);
    ssize_t n = fd_pread(fd, &header, sizeof header, 0, path, err);
    if (n < 0)
        return -1;
    if ((size_t)n < sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return err_set(err, ERR_INVALID, "%s: is no shared library: unpack the VDDK package again",
                       path);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
        return err_set(err, ERR_INVALID,
                       "%s: is made for another kind of processor: take the VDDK for Linux on "
                       "x86-64",
                       path);
    return 0;
}

/* ---- would it load? ---- */

struct linking {
    size_t n_lines;
    struct buf missing;
};

static void
read_linker_line(int stream, const char *line, size_t len, void *arg)
{
    struct linking *linking = arg;
    struct err ignored = ERR_INIT;
    (void)len;
    linking->n_lines += stream == 1;
    if (!strstr(line, "not found"))
        return;
    line += strspn(line, " \t");
    size_t name = strcspn(line, " :");
    /* What does not fit is not the first of its kind. */
    if (linking->missing.len)
        buf_add_str(&linking->missing, ", ", &ignored);
    buf_add(&linking->missing, line, name, &ignored);
}

int
vddk_library_check(const struct vddk_library *library, struct err *err)
{
    auto_free char *search = NULL;
    if (access(LINKER, X_OK) < 0)
        return err_set(err, ERR_NOT_FOUND, "%s: the dynamic linker is not there", LINKER);
    if (asprintf(&search, "LD_LIBRARY_PATH=%s/lib64:%s", library->libdir, library->libdir) < 0) {
        search = NULL;
        return err_errno(err, ENOMEM, "%s", library->path);
    }
    const char *argv[] = { LINKER, "--list", library->path, NULL };
    const char *env[] = { search, "LC_ALL=C", NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    spec.env_add = env;
    struct linking linking = { .missing = BUF_INIT(MISSING_MAX) };
    struct err failure = ERR_INIT;
    int r = proc_run(&spec, clock_now_ns() + LINKER_LIMIT_NS, read_linker_line, NULL, &linking,
                     &failure);
    if (linking.missing.len)
        r = err_set(err, ERR_INVALID, "%s: it needs libraries that are not on this host: %s",
                    library->path, linking.missing.data);
    else if (r < 0)
        r = err_set(err, ERR_INVALID, "%s: the dynamic linker refuses it: %s", library->path,
                    failure.text);
    buf_free(&linking.missing);
    return r;
}
