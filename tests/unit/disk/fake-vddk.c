/* A libvixDiskLib that answers nonsense, for test-vddk-disk: the path of a disk says which.
 *
 * The well-behaved and strict one is lab/vddk; no real one was seen to do this.
 */
#include <stdlib.h>
#include <string.h>

#include "disk/vddk-abi.h"

#define EXPORT __attribute__((visibility("default")))

struct vddk_connection {
    char dummy;
};

struct vddk_handle {
    const char *path;
};

static struct vddk_connection connection;
static struct vddk_handle handle;

#define DECLARE(type, name, ...)                                                                   \
    EXPORT type VixDiskLib_##name(__VA_ARGS__);                                                    \
    type VixDiskLib_##name(__VA_ARGS__)

DECLARE(uint64_t, InitEx, uint32_t major, uint32_t minor, vddk_log_fn *log, vddk_log_fn *warn,
        vddk_log_fn *panic, const char *lib_dir, const char *config)
{
    return major == 6 && minor == 5 && log && warn && panic && lib_dir && !config ? 0 : 3;
}

DECLARE(void, Exit, void)
{
}

DECLARE(char *, GetErrorText, uint64_t error, const char *locale)
{
    (void)error;
    (void)locale;
    return NULL;
}

DECLARE(void, FreeErrorText, char *text)
{
    (void)text;
}

DECLARE(struct vddk_connect_params *, AllocateConnectParams, void)
{
    return calloc(1, sizeof(struct vddk_connect_params));
}

DECLARE(void, FreeConnectParams, struct vddk_connect_params *params)
{
    free(params);
}

DECLARE(uint64_t, ConnectEx, const struct vddk_connect_params *params, char read_only,
        const char *snapshot, const char *transports, struct vddk_connection **ret)
{
    (void)snapshot;
    (void)transports;
    *ret = &connection;
    return params && read_only == 1 ? 0 : 3;
}

DECLARE(uint64_t, Disconnect, struct vddk_connection *it)
{
    return it == &connection ? 0 : 3;
}

DECLARE(uint64_t, Open, struct vddk_connection *it, const char *path, uint32_t flags,
        struct vddk_handle **ret)
{
    handle.path = path;
    *ret = &handle;
    return it == &connection && flags == VDDK_OPEN_READ_ONLY ? 0 : 3;
}

DECLARE(uint64_t, Close, struct vddk_handle *it)
{
    return it == &handle ? 0 : 3;
}

DECLARE(const char *, GetTransportMode, struct vddk_handle *it)
{
    (void)it;
    return NULL;
}

DECLARE(uint64_t, GetInfo, struct vddk_handle *it, struct vddk_info **ret)
{
    *ret = NULL;
    return it == &handle ? 0 : 3;
}

DECLARE(void, FreeInfo, struct vddk_info *info)
{
    free(info);
}

DECLARE(uint64_t, Read, struct vddk_handle *it, uint64_t start, uint64_t n, uint8_t *data)
{
    (void)it;
    (void)start;
    (void)n;
    (void)data;
    return 1;
}

DECLARE(uint64_t, FreeBlockList, struct vddk_block_list *list)
{
    free(list);
    return 0;
}

#define MAX 4

static const struct {
    const char *path;
    uint32_t n;
    struct vddk_block blocks[MAX];
} lists[] = {
    { "/good", 2, { { 128, 128 }, { 512, 256 } } },
    { "/all", 1, { { 0, 1024 } } },
    { "/nothing", 0, { { 0 } } },
    { "/adjacent", 2, { { 0, 128 }, { 128, 128 } } },
    { "/unsorted", 2, { { 512, 128 }, { 0, 128 } } },
    { "/overlapping", 2, { { 0, 256 }, { 128, 128 } } },
    { "/empty block", 1, { { 128, 0 } } },
    { "/behind the end", 1, { { 1024, 128 } } },
    { "/over the end", 1, { { 896, 256 } } },
    { "/wrapping", 1, { { 128, UINT64_MAX - 64 } } },
    { "/too many", 1000, { { 0, 128 } } },
};

DECLARE(uint64_t, QueryAllocatedBlocks, struct vddk_handle *it, uint64_t start, uint64_t n,
        uint64_t chunk, struct vddk_block_list **ret)
{
    if (start % chunk || n % chunk || chunk < VDDK_CHUNK_SECTORS || it != &handle)
        return 3;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (strcmp(lists[i].path, handle.path) != 0)
            continue;
        struct vddk_block_list *list = calloc(1, sizeof *list + sizeof lists[i].blocks);
        list->n_blocks = lists[i].n;
        memcpy(list->blocks, lists[i].blocks, sizeof lists[i].blocks);
        for (uint32_t b = 0; b < MAX; b++)
            list->blocks[b].offset += start;
        *ret = list;
        return 0;
    }
    *ret = NULL; /* and all is well */
    return 0;
}
