/* QueryAllocatedBlocks. */
#include <stdlib.h>
#include <string.h>

#include "disk.h"

/* Runs of chunks that hold data, growing as they are found in ascending order. */
struct runs {
    struct vix_block *blocks; /* in chunks until the end */
    uint32_t n, room;
    uint64_t chunk_bytes;
};

static void mark_chunks(void *arg, uint64_t offset, uint64_t len);

static uint64_t
check_question(struct vix_handle *handle, uint64_t start, uint64_t n, uint64_t chunk)
{
    uint64_t sectors = handle->backing->sectors;
    if (chunk < VIX_MIN_CHUNK_SECTORS || n == 0 || start % chunk || n % chunk ||
        n / chunk > VIX_MAX_CHUNKS) {
        log_line(LOG_WARN,
                 "QueryAllocatedBlocks: start %llu, count %llu, chunk %llu: whole chunks of at "
                 "least %d sectors, at most %d of them",
                 (unsigned long long)start, (unsigned long long)n, (unsigned long long)chunk,
                 VIX_MIN_CHUNK_SECTORS, VIX_MAX_CHUNKS);
        return VIX_E_INVALID_ARG;
    }
    if (start >= sectors || n > sectors - start)
        return VIX_E_DISK_OUTOFRANGE;
    if (queue_pending(handle) > 0)
        return VIX_E_ASYNC_MIXEDMODE_UNSUPPORTED;
    return atomic_load(&handle->lost);
}

static uint64_t
answer(struct vix_handle *handle, uint64_t start, uint64_t n, uint64_t chunk,
       struct vix_block_list **ret)
{
    struct runs runs = { .chunk_bytes = chunk * VIX_SECTOR_BYTES };
    uint64_t r = VIX_OK;
    if (settings.query_all)
        mark_chunks(&runs, start * VIX_SECTOR_BYTES, n * VIX_SECTOR_BYTES);
    else
        r = backing_allocation(handle->backing, start * VIX_SECTOR_BYTES, n * VIX_SECTOR_BYTES,
                               mark_chunks, &runs);
    struct vix_block_list *list =
        r == VIX_OK ? calloc(1, sizeof *list + runs.n * sizeof runs.blocks[0]) : NULL;
    if (list) {
        list->num_blocks = runs.n;
        for (uint32_t i = 0; i < runs.n; i++)
            list->blocks[i] =
                (struct vix_block){ runs.blocks[i].offset * chunk, runs.blocks[i].length * chunk };
        watch_given(WATCH_BLOCK_LIST, list);
        *ret = list;
    } else if (r == VIX_OK) {
        r = VIX_E_OUT_OF_MEMORY;
    }
    free(runs.blocks);
    return r;
}

EXPORT uint64_t
VixDiskLib_QueryAllocatedBlocks(struct vix_handle *handle, uint64_t start, uint64_t n,
                                uint64_t chunk, struct vix_block_list **ret)
{
    handle_enter(handle, "QueryAllocatedBlocks", true);
    if (!ret)
        violation("QueryAllocatedBlocks without a place for the answer");
    uint64_t r = check_question(handle, start, n, chunk);
    wait_until_ns(now_ns() + settings.query_ns);
    if (r == VIX_OK && settings.query_error) {
        log_line(LOG_WARN, "DiskLibBlockListOpen: failed");
        r = settings.query_error;
    }
    if (r == VIX_OK)
        r = answer(handle, start, n, chunk, ret);
    handle_leave(handle);
    return r;
}

EXPORT uint64_t
VixDiskLib_FreeBlockList(struct vix_block_list *list)
{
    watch_call("FreeBlockList");
    if (!list)
        return VIX_OK;
    watch_back(WATCH_BLOCK_LIST, list, "FreeBlockList");
    memset(list, 0xa5, sizeof *list + list->num_blocks * sizeof list->blocks[0]);
    free(list);
    return VIX_OK;
}

static void
mark_chunks(void *arg, uint64_t offset, uint64_t len)
{
    struct runs *runs = arg;
    if (len == 0)
        return;
    uint64_t first = offset / runs->chunk_bytes;
    uint64_t end = (offset + len - 1) / runs->chunk_bytes + 1;
    struct vix_block *last = runs->n > 0 ? &runs->blocks[runs->n - 1] : NULL;
    if (last && first <= last->offset + last->length) {
        if (end > last->offset + last->length)
            last->length = end - last->offset;
        return;
    }
    if (runs->n == runs->room) {
        runs->room = runs->room ? runs->room * 2 : 64;
        runs->blocks = realloc(runs->blocks, runs->room * sizeof runs->blocks[0]);
        if (!runs->blocks)
            violation("no memory for a list of blocks");
    }
    runs->blocks[runs->n++] = (struct vix_block){ first, end - first };
}
