#include "disk/vddk-library.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "disk/vddk-log.h"
#include "wire/vddk-file.h"

/* The version of the interface that we speak; 6.5 is what its later versions go on taking. */
#define API_MAJOR 6
#define API_MINOR 5

static struct vddk_library library;
static bool is_ready;

static int open_library(const char *libdir, void **ret_dl, struct err *err);
static int resolve(void *dl, struct vddk_api *api, const char *file, struct err *err);
static char *real_name(void *function);

int
vddk_library_load(const char *libdir, const char *config_file, struct err *err)
{
    void *dl;
    if (open_library(libdir, &dl, err) < 0)
        return -1;
    /* It stays loaded, also after a failure: what its constructors began cannot be undone. */
    void *init_ex = dlsym(dl, "VixDiskLib_InitEx");
    library.file = init_ex ? real_name(init_ex) : strdup(libdir);
    if (!library.file)
        return err_errno(err, ENOMEM, "%s", libdir);
    if (resolve(dl, &library.api, library.file, err) < 0)
        return -1;
    /* Before 6.7 a read that is called asynchronous ends before the call does. */
    library.can_async =
        library.api.read_async && library.api.wait && library.api.allocate_connect_params;
    library.can_query = library.api.query_allocated_blocks && library.api.free_block_list;

    uint64_t mark = vddk_log_mark();
    uint64_t error = library.api.init_ex(API_MAJOR, API_MINOR, vddk_log_info, vddk_log_warn,
                                         vddk_log_panic, libdir, config_file);
    if (VDDK_CODE(error) != VDDK_OK) {
        char lines[VDDK_LOG_TEXT_MAX]; /* its text of an error it has not before it has started */
        vddk_log_since(mark, lines, sizeof lines);
        return err_set(err, ERR_INVALID,
                       "%s of %s: VMware's disk library does not start (VixError %" PRIu64
                       "): version %d.%d or newer is needed, with all of its lib64/, and a "
                       "configuration file that it understands (the library's log: %s)",
                       library.file, libdir, error, API_MAJOR, API_MINOR,
                       lines[0] ? lines : "nothing");
    }
    is_ready = true;
    log_info("%s of %s%s", library.file, libdir,
             library.can_async ? "" : ", which cannot read asynchronously");
    return 0;
}

const struct vddk_library *
vddk_library(void)
{
    return &library;
}

void
vddk_library_end(void)
{
    if (is_ready)
        library.api.exit();
    is_ready = false;
}

/* ---- finding it ---- */

static int
open_library(const char *libdir, void **ret_dl, struct err *err)
{
    char path[PATH_MAX];
    unsigned major;
    if (!vddk_file_find(libdir, path, &major))
        return err_set(err, ERR_NOT_FOUND,
                       "%s: there is no libvixDiskLib.so.%d to .so.%d in it nor in its lib64/: "
                       "name the directory to which the VDDK was unpacked (vddk-libdir), or choose "
                       "another transport",
                       libdir, VDDK_MAJOR_MIN, VDDK_MAJOR_MAX);
    *ret_dl = dlopen(path, RTLD_NOW);
    if (*ret_dl)
        return 0;
    /* The loader's text names the file, and what it lacks. */
    return err_set(err, ERR_INVALID,
                   "VMware's disk library cannot be loaded: %s; unpack the VDDK for 64-bit Linux "
                   "whole, with all of its lib64/",
                   dlerror());
}

/* The name of the file that a function of it lies in, all links followed; without a folder. */
static char *
real_name(void *function)
{
    Dl_info info;
    if (dladdr(function, &info) == 0 || !info.dli_fname)
        return strdup("libvixDiskLib");
    auto_free char *path = realpath(info.dli_fname, NULL);
    if (!path)
        path = strdup(info.dli_fname);
    return path ? strdup(basename(path)) : NULL;
}

/* ---- its functions ---- */

static int
resolve(void *dl, struct vddk_api *api, const char *file, struct err *err)
{
#define SYMBOL(field, name, needed)                                                                \
    {                                                                                              \
        offsetof(struct vddk_api, field), "VixDiskLib_" name, needed                               \
    }
    static const struct {
        size_t offset;
        const char *name;
        bool needed;
    } symbols[] = {
        SYMBOL(init_ex, "InitEx", true),
        SYMBOL(exit, "Exit", true),
        SYMBOL(get_error_text, "GetErrorText", true),
        SYMBOL(free_error_text, "FreeErrorText", true),
        SYMBOL(free_connect_params, "FreeConnectParams", true),
        SYMBOL(connect_ex, "ConnectEx", true),
        SYMBOL(disconnect, "Disconnect", true),
        SYMBOL(open, "Open", true),
        SYMBOL(close, "Close", true),
        SYMBOL(get_transport_mode, "GetTransportMode", true),
        SYMBOL(get_info, "GetInfo", true),
        SYMBOL(free_info, "FreeInfo", true),
        SYMBOL(read, "Read", true),
        SYMBOL(allocate_connect_params, "AllocateConnectParams", false),
        SYMBOL(read_async, "ReadAsync", false),
        SYMBOL(wait, "Wait", false),
        SYMBOL(query_allocated_blocks, "QueryAllocatedBlocks", false),
        SYMBOL(free_block_list, "FreeBlockList", false),
    };
#undef SYMBOL
    auto_buf struct buf missing = BUF_INIT(1024);
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        void *function = dlsym(dl, symbols[i].name);
        /* ISO C has no conversion from an object's pointer to a function's; POSIX has. */
        memcpy((char *)api + symbols[i].offset, &function, sizeof function);
        if (!function && symbols[i].needed &&
            buf_printf(&missing, err, "%s%s", missing.len ? ", " : "", symbols[i].name) < 0)
            return -1;
    }
    if (missing.len)
        return err_set(err, ERR_INVALID,
                       "%s: is not VMware's disk library or too old a one: it has no %s; version "
                       "%d.%d or newer is needed",
                       file, missing.data, API_MAJOR, API_MINOR);
    return 0;
}
