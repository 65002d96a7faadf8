/* Open and Close of a disk, and what is asked of it without reading. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"

#define AIO_MEMORY_MAX (16 * MIB)
#define AIO_SIZE_MAX_64K 32
#define OPEN_FLAGS_KNOWN 0x77
#define COMPRESSIONS                                                                               \
    (VIX_OPEN_COMPRESSION_ZLIB | VIX_OPEN_COMPRESSION_FASTLZ | VIX_OPEN_COMPRESSION_SKIPZ)

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vix_handle *handles; /* closed ones stay, so that they are known again */
static struct host_line own_line;  /* of disks that no server has */

static uint64_t open_disk(struct vix_handle *handle, const char *path, uint32_t flags);

/* ---- open and close ---- */

EXPORT uint64_t
VixDiskLib_Open(struct vix_connection *connection, const char *path, uint32_t flags,
                struct vix_handle **ret)
{
    static _Atomic uint64_t n_opens;
    watch_control("Open");
    connection_check(connection, "Open");
    connection_check_strings(connection, "Open");
    if (!path || !ret)
        violation("Open without a path or a place for the handle");
    const struct fault *fault = fault_hit(FAULT_OPEN, atomic_fetch_add(&n_opens, 1) + 1);
    uint64_t r = VIX_OK;
    if (fault) {
        fault_act(fault);
        r = fault->action == FAULT_FAIL ? fault->value : VIX_OK;
    }
    wait_until_ns(now_ns() + settings.open_ns);
    struct vix_handle *handle = calloc(1, sizeof *handle);
    if (!handle)
        violation("no memory for a handle");
    handle->connection = connection;
    handle->read_only = connection->read_only || flags & VIX_OPEN_READ_ONLY;
    handle->line = &own_line;
    if (r == VIX_OK)
        r = open_disk(handle, path, flags);
    if (settings.noise)
        log_noise();
    if (r == VIX_OK) {
        queue_init(handle);
        connection->n_handles++;
        pthread_mutex_lock(&list_lock);
        handle->next = handles;
        handles = handle;
        pthread_mutex_unlock(&list_lock);
        *ret = handle;
        log_line(LOG_INFO, "DISKLIB-LIB: Opened '%s' by %s, %llu sectors", path, handle->transport,
                 (unsigned long long)handle->backing->sectors);
    } else {
        log_line(LOG_WARN, "DISKLIB-LIB: Failed to open '%s': VixError %llu", path,
                 (unsigned long long)r);
        free(handle);
    }
    watch_control_end();
    return r;
}

/* A path of the form "[datastore] dir/file" below the directory of datastores. */
static uint64_t
find_in_datastores(const char *path, char *ret_path, size_t size)
{
    const char *end = strstr(path, "] ");
    if (path[0] != '[' || !end || strstr(path, "..")) {
        log_line(LOG_WARN, "GetFileName: Cannot create disk spec for '%s'", path);
        return VIX_E_FILE_NOT_FOUND;
    }
    snprintf(ret_path, size, "%s/%.*s/%s", settings.datastores, (int)(end - path - 1), path + 1,
             end + 2);
    return VIX_OK;
}

static uint64_t
check_credentials(const struct vix_connection *connection)
{
    const char *expected = connection_word(connection, "thumbPrint");
    if (!*expected && settings.null_thumbprint)
        expected = settings.thumbprint ? settings.thumbprint : "";
    if (settings.thumbprint && strcmp(settings.thumbprint, expected) != 0) {
        log_line(LOG_INFO,
                 "SSLVerifyCertAgainstSystemStore: thumbprint mismatch, actual "
                 "thumbprint=%s expected=%s",
                 settings.thumbprint, expected);
        return VIX_E_FAIL;
    }
    bool session = connection->cred_type == VIX_CRED_SESSIONID;
    const struct {
        const char *want, *given;
    } pairs[] = {
        { settings.user, connection_word(connection, "userName") },
        { settings.password, connection_word(connection, session ? "key" : "password") },
        { session ? settings.cookie : NULL, connection_word(connection, "cookie") },
    };
    for (unsigned i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (pairs[i].want && strcmp(pairs[i].want, pairs[i].given) != 0) {
            log_line(LOG_WARN, "VixDiskLibVim: Login failure. Incorrect user name or password.");
            return VIX_E_AUTHENTICATION_FAIL;
        }
    return VIX_OK;
}

static uint64_t
check_flags(const struct vix_handle *handle, uint32_t flags)
{
    uint32_t compressions = flags & COMPRESSIONS;
    if (flags & ~(uint32_t)OPEN_FLAGS_KNOWN || (compressions & (compressions - 1)) != 0) {
        log_line(LOG_WARN, "Open flags 0x%x are not valid", flags);
        return VIX_E_INVALID_ARG;
    }
    uint64_t aio = (uint64_t)settings.aio_size_64k * settings.aio_count * 64 * 1024;
    if (handle->connection->remote &&
        (aio > AIO_MEMORY_MAX || settings.aio_size_64k > AIO_SIZE_MAX_64K)) {
        log_line(LOG_WARN, "NfcAioInitSession: %u buffers of %u x 64 KiB are refused by the host",
                 settings.aio_count, settings.aio_size_64k);
        return VIX_E_FAIL;
    }
    return VIX_OK;
}

static void
choose_completion(struct vix_handle *handle)
{
    bool nfc = strcmp(handle->transport, "nbd") == 0 || strcmp(handle->transport, "nbdssl") == 0;
    handle->completion = settings.completion;
    if (settings.completion == COMPLETION_AUTO)
        handle->completion = nfc && variant.has_allocate ? COMPLETION_THREAD : COMPLETION_INSIDE;
}

static uint64_t
open_remote(struct vix_handle *handle, const char *path, uint32_t flags)
{
    const char *transport = connection_transport(handle->connection);
    if (!transport) {
        log_line(LOG_WARN, "None of the transport modes %s is available",
                 handle->connection->transports ? handle->connection->transports : "(default)");
        return VIX_E_NOT_SUPPORTED;
    }
    snprintf(handle->transport, sizeof handle->transport, "%s", transport);
    if (!*connection_word(handle->connection, "thumbPrint") && !settings.null_thumbprint) {
        log_line(LOG_INFO, "SSL: no thumbprint was given, actual thumbprint=unknown expected=");
        return VIX_E_FAIL;
    }
    if (!settings.datastores) {
        const struct remote_open what = { handle->connection, path, transport, flags,
                                          settings.threads + 1 };
        return remote_open(&what, &handle->remote, &handle->backing, &handle->line, &handle->slot);
    }
    char local[PATH_BYTES];
    uint64_t r = check_credentials(handle->connection);
    if (r == VIX_OK)
        r = find_in_datastores(path, local, sizeof local);
    return r == VIX_OK ? backing_open(local, !handle->read_only, &handle->backing) : r;
}

static uint64_t
open_disk(struct vix_handle *handle, const char *path, uint32_t flags)
{
    uint64_t r = check_flags(handle, flags);
    if (r != VIX_OK)
        return r;
    if (handle->connection->remote) {
        r = open_remote(handle, path, flags);
    } else {
        snprintf(handle->transport, sizeof handle->transport, "%s",
                 settings.local_transport ? settings.local_transport : "file");
        if (path[0] != '/') {
            log_line(LOG_WARN, "%s: a file of this machine is named by its absolute path", path);
            return VIX_E_FILE_NOT_FOUND;
        }
        r = backing_open(path, !handle->read_only, &handle->backing);
    }
    if (r == VIX_OK && settings.capacity >= 0)
        handle->backing->sectors = (uint64_t)settings.capacity;
    choose_completion(handle);
    return r;
}

EXPORT uint64_t
VixDiskLib_Close(struct vix_handle *handle)
{
    watch_control("Close");
    handle_enter(handle, "Close", false);
    unsigned pending = queue_pending(handle);
    if (pending > 0)
        violation("Close with %u requests outstanding: Wait comes first", pending);
    if (handle->must_wait)
        violation("Close after asynchronous requests without Wait: their completion functions may "
                  "still run");
    queue_end(handle);
    remote_close(handle->remote);
    backing_close(handle->backing);
    handle->remote = NULL;
    handle->backing = NULL;
    handle->connection->n_handles--;
    handle->closed = true;
    log_line(LOG_INFO, "VixDiskLib_Close: done");
    handle_leave(handle);
    watch_control_end();
    return VIX_OK;
}

/* ---- who uses it ---- */

void
handle_enter(struct vix_handle *handle, const char *function, bool io)
{
    watch_call(function);
    pthread_mutex_lock(&list_lock);
    struct vix_handle *it = handles;
    while (it && it != handle)
        it = it->next;
    pthread_mutex_unlock(&list_lock);
    if (!it)
        violation("%s(%p): no handle of this library", function, (void *)handle);
    if (it->closed)
        violation("%s on a handle that was closed", function);
    pid_t nobody = 0;
    pid_t me = gettid();
    if (!atomic_compare_exchange_strong(&it->user_tid, &nobody, me)) {
        const char *other = atomic_load(&it->user_function);
        violation("%s in thread %d while thread %d is in %s on the same handle: a handle belongs "
                  "to one thread",
                  function, (int)me, (int)nobody, other ? other : "another function");
    }
    atomic_store(&it->user_function, function);
    pid_t owner = 0;
    if (io && !atomic_compare_exchange_strong(&it->io_tid, &owner, me) && owner != me &&
        !settings.any_thread)
        violation("%s in thread %d, but thread %d has used this handle before: a handle belongs to "
                  "one thread",
                  function, (int)me, (int)owner);
}

void
handle_leave(struct vix_handle *handle)
{
    atomic_store(&handle->user_tid, 0);
}

unsigned
handle_count(void)
{
    unsigned n = 0;
    pthread_mutex_lock(&list_lock);
    for (struct vix_handle *it = handles; it; it = it->next)
        n += !it->closed;
    pthread_mutex_unlock(&list_lock);
    return n;
}

void
handles_free(void)
{
    while (handles) {
        struct vix_handle *next = handles->next;
        free(handles);
        handles = next;
    }
}

/* ---- questions ---- */

EXPORT const char *
VixDiskLib_GetTransportMode(struct vix_handle *handle)
{
    handle_enter(handle, "GetTransportMode", false);
    handle_leave(handle);
    return handle->transport;
}

EXPORT uint64_t
VixDiskLib_GetInfo(struct vix_handle *handle, struct vix_info **ret)
{
    handle_enter(handle, "GetInfo", false);
    if (!ret)
        violation("GetInfo without a place for the answer");
    uint64_t r = settings.info_error;
    struct vix_info *info = r == VIX_OK ? calloc(1, sizeof *info) : NULL;
    if (info) {
        const struct backing *backing = handle->backing;
        info->capacity = backing->sectors;
        info->adapter_type = backing->adapter_type;
        info->num_links = backing->num_links;
        info->uuid = backing->uuid ? strdup(backing->uuid) : NULL;
        info->bios_geo.heads = info->phys_geo.heads = 255;
        info->bios_geo.sectors = info->phys_geo.sectors = 63;
        info->bios_geo.cylinders = info->phys_geo.cylinders =
            (uint32_t)(backing->sectors / (255 * 63));
        if (variant.major >= 7) {
            info->logical_sector_size = backing->sector_bytes;
            info->physical_sector_size = backing->sector_bytes;
        } else {
            /* The library's own struct ends before these: what stands there is anything. */
            info->logical_sector_size = info->physical_sector_size = 0xa5a5a5a5;
        }
        watch_given(WATCH_INFO, info);
        *ret = info;
    } else if (r == VIX_OK) {
        r = VIX_E_OUT_OF_MEMORY;
    }
    handle_leave(handle);
    return r;
}

EXPORT void
VixDiskLib_FreeInfo(struct vix_info *info)
{
    watch_call("FreeInfo");
    if (!info)
        return;
    watch_back(WATCH_INFO, info, "FreeInfo");
    free(info->uuid);
    memset(info, 0xa5, sizeof *info);
    free(info);
}

EXPORT uint64_t
VixDiskLib_GetMetadataKeys(struct vix_handle *handle, char *keys, size_t len, size_t *ret_need)
{
    handle_enter(handle, "GetMetadataKeys", false);
    size_t need = 1;
    for (unsigned i = 0; i < handle->backing->n_ddb; i++)
        need += strlen(handle->backing->ddb[i].key) + 1;
    if (ret_need)
        *ret_need = need;
    uint64_t r = keys && len >= need ? VIX_OK : VIX_E_BUFFER_TOOSMALL;
    for (unsigned i = 0; r == VIX_OK && i < handle->backing->n_ddb; i++) {
        size_t n = strlen(handle->backing->ddb[i].key) + 1;
        memcpy(keys, handle->backing->ddb[i].key, n);
        keys += n;
    }
    if (r == VIX_OK)
        *keys = '\0';
    handle_leave(handle);
    return r;
}

EXPORT uint64_t
VixDiskLib_ReadMetadata(struct vix_handle *handle, const char *key, char *value, size_t len,
                        size_t *ret_need)
{
    handle_enter(handle, "ReadMetadata", false);
    uint64_t r = VIX_E_DISK_KEY_NOTFOUND;
    for (unsigned i = 0; key && i < handle->backing->n_ddb; i++) {
        if (strcmp(handle->backing->ddb[i].key, key) != 0)
            continue;
        size_t need = strlen(handle->backing->ddb[i].value) + 1;
        if (ret_need)
            *ret_need = need;
        r = value && len >= need ? VIX_OK : VIX_E_BUFFER_TOOSMALL;
        if (r == VIX_OK)
            memcpy(value, handle->backing->ddb[i].value, need);
        break;
    }
    handle_leave(handle);
    return r;
}
