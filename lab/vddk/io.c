/* Reading and writing, at once and asynchronously.
 *
 * The bytes go from the file straight into the caller's buffer. Until then a mark stands in each
 * page of it: a caller who looks early reads rubbish, and one who writes there early is found out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "disk.h"

#define PAGE_BYTES 4096
#define MARK_STEP PAGE_BYTES
#define NOISE_EVERY 64

static _Atomic uint64_t n_reads;
static pthread_mutex_t flying_lock = PTHREAD_MUTEX_INITIALIZER;
static struct request *flying;

static uint64_t check_request(struct vix_handle *handle, const char *function, uint64_t start,
                              uint64_t n, const void *buf);
static void meet_fault(struct request *request);
static void take_memory(struct request *request);
static void give_memory(struct request *request);
static uint64_t transfer(struct request *request, unsigned lane);
static void fly(struct request *request);
static void land(struct request *request);
static void check_marks(const struct request *request);

/* ---- at once ---- */

static uint64_t
at_once(const char *function, struct vix_handle *handle, uint64_t start, uint64_t n, uint8_t *buf,
        const uint8_t *data)
{
    handle_enter(handle, function, true);
    uint64_t r = check_request(handle, function, start, n, buf ? buf : data);
    if (r == VIX_OK && queue_pending(handle) > 0) {
        log_line(LOG_WARN, "%s while asynchronous requests are in flight", function);
        r = VIX_E_ASYNC_MIXEDMODE_UNSUPPORTED;
    }
    if (r == VIX_OK) {
        struct request request = {
            .handle = handle, .start = start, .n = n, .buf = buf, .data = data
        };
        meet_fault(&request);
        take_memory(&request);
        wait_until_ns(line_due_ns(handle->line, n * VIX_SECTOR_BYTES));
        r = transfer(&request, settings.threads);
        give_memory(&request);
    }
    handle_leave(handle);
    return r;
}

EXPORT uint64_t
VixDiskLib_Read(struct vix_handle *handle, uint64_t start, uint64_t n, uint8_t *buf)
{
    return at_once("Read", handle, start, n, buf, NULL);
}

EXPORT uint64_t
VixDiskLib_Write(struct vix_handle *handle, uint64_t start, uint64_t n, const uint8_t *buf)
{
    return at_once("Write", handle, start, n, NULL, buf);
}

EXPORT uint64_t
VixDiskLib_Flush(struct vix_handle *handle)
{
    handle_enter(handle, "Flush", true);
    if (queue_pending(handle) > 0)
        violation("Flush with %u requests outstanding: Wait comes first", queue_pending(handle));
    uint64_t r = backing_flush(handle->backing);
    handle_leave(handle);
    return r;
}

EXPORT uint64_t
VixDiskLib_Wait(struct vix_handle *handle)
{
    handle_enter(handle, "Wait", false);
    queue_wait(handle);
    handle->must_wait = false;
    handle_leave(handle);
    return VIX_OK;
}

/* ---- asynchronously ---- */

static uint64_t
submit(struct request *request)
{
    struct vix_handle *handle = request->handle;
    meet_fault(request);
    if (request->has_fault && request->fault.action == FAULT_ZERO) {
        /* Done at once, and no completion comes. */
        uint64_t r = transfer(request, settings.threads);
        free(request);
        return r;
    }
    take_memory(request);
    if (request->has_fault && request->fault.action == FAULT_FAIL && settings.fail_at_call) {
        uint64_t r = transfer(request, settings.threads);
        give_memory(request);
        free(request);
        return r;
    }
    request->due_ns = line_due_ns(handle->line, request->n * VIX_SECTOR_BYTES);
    fly(request);
    bool inside = handle->completion == COMPLETION_INSIDE ||
                  (handle->completion == COMPLETION_MIXED && request->number % 2 == 0);
    if (inside) {
        wait_until_ns(request->due_ns);
        request_finish(request, settings.threads);
    } else {
        handle->must_wait = variant.has_wait;
        request->queued = true;
        queue_add(handle, request);
    }
    return VIX_ASYNC;
}

static uint64_t
asynchronously(const char *function, struct request wanted)
{
    struct vix_handle *handle = wanted.handle;
    handle_enter(handle, function, true);
    if (!wanted.done)
        violation("%s without a completion function", function);
    uint64_t r = check_request(handle, function, wanted.start, wanted.n,
                               wanted.buf ? wanted.buf : wanted.data);
    if (r == VIX_OK) {
        struct request *request = malloc(sizeof *request);
        if (!request)
            violation("no memory for a request");
        *request = wanted;
        r = submit(request);
    }
    handle_leave(handle);
    return r;
}

EXPORT uint64_t
VixDiskLib_ReadAsync(struct vix_handle *handle, uint64_t start, uint64_t n, uint8_t *buf,
                     vix_completion_fn *done, void *data)
{
    return asynchronously("ReadAsync", (struct request){ .handle = handle,
                                                         .start = start,
                                                         .n = n,
                                                         .buf = buf,
                                                         .done = done,
                                                         .done_data = data });
}

EXPORT uint64_t
VixDiskLib_WriteAsync(struct vix_handle *handle, uint64_t start, uint64_t n, const uint8_t *buf,
                      vix_completion_fn *done, void *data)
{
    return asynchronously("WriteAsync", (struct request){ .handle = handle,
                                                          .start = start,
                                                          .n = n,
                                                          .data = buf,
                                                          .done = done,
                                                          .done_data = data });
}

void
request_finish(struct request *request, unsigned lane)
{
    struct vix_handle *handle = request->handle;
    check_marks(request);
    uint64_t r = transfer(request, lane);
    land(request);
    give_memory(request);
    if (request->queued) {
        pthread_mutex_lock(&handle->queue.lock);
        handle->queue.pending--;
        pthread_mutex_unlock(&handle->queue.lock);
    }
    watch_callback(true);
    request->done(request->done_data, r);
    watch_callback(false);
    free(request);
}

/* ---- one request ---- */

static uint64_t
check_request(struct vix_handle *handle, const char *function, uint64_t start, uint64_t n,
              const void *buf)
{
    if (!buf)
        violation("%s without a buffer", function);
    uint64_t sectors = handle->backing->sectors;
    if (n == 0)
        return VIX_E_INVALID_ARG;
    if (start >= sectors || n > sectors - start) {
        log_line(LOG_WARN, "%s: sectors %llu + %llu are outside of the disk of %llu", function,
                 (unsigned long long)start, (unsigned long long)n, (unsigned long long)sectors);
        return VIX_E_DISK_OUTOFRANGE;
    }
    if (n > settings.max_request_bytes / VIX_SECTOR_BYTES) {
        log_line(LOG_WARN, "NFC error 5: Failed to allocate the requested %llu bytes",
                 (unsigned long long)n * VIX_SECTOR_BYTES);
        return VIX_E_OUT_OF_MEMORY;
    }
    if (handle->remote && atomic_load(&handle->lost) == VIX_OK)
        atomic_store(&handle->lost, remote_state(handle->remote));
    return atomic_load(&handle->lost);
}

/* Number the request and see what the configuration or the server wants to happen to it. */
static void
meet_fault(struct request *request)
{
    if (!request->buf)
        return;
    struct vix_handle *handle = request->handle;
    request->number = atomic_fetch_add(&n_reads, 1) + 1;
    uint64_t number = atomic_fetch_add(&handle->reads, 1) + 1;
    const struct fault *fault = fault_hit(FAULT_READ, request->number);
    if (fault) {
        request->fault = *fault;
        request->has_fault = true;
    } else if (handle->remote) {
        request->has_fault = remote_fault(handle->remote, number, &request->fault);
    }
    if (settings.noise && request->number % NOISE_EVERY == 1)
        log_noise();
}

/* Memory of the NFC server for as long as the request lasts; where it has none, it fails. */
static void
take_memory(struct request *request)
{
    struct vix_handle *handle = request->handle;
    request->took_memory = line_take(handle->line, handle->slot, request->n * VIX_SECTOR_BYTES);
    if (!request->took_memory && !request->has_fault) {
        request->fault = (struct fault){ .action = FAULT_FAIL, .value = settings.nfc_memory_error };
        request->has_fault = true;
    }
}

static void
give_memory(struct request *request)
{
    if (request->took_memory)
        line_give(request->handle->line, request->handle->slot, request->n * VIX_SECTOR_BYTES);
}

static uint64_t
transfer(struct request *request, unsigned lane)
{
    struct vix_handle *handle = request->handle;
    uint64_t len = request->n * VIX_SECTOR_BYTES;
    uint64_t offset = request->start * VIX_SECTOR_BYTES;
    if (request->has_fault) {
        fault_act(&request->fault);
        uint64_t value = request->fault.value;
        if (request->fault.action == FAULT_LOST) {
            log_line(LOG_WARN, "NfcAio: the connection to the host was lost");
            atomic_store(&handle->lost, value);
        }
        if (request->fault.action == FAULT_FAIL && (value == VIX_E_OUT_OF_MEMORY || value == 5))
            log_line(LOG_WARN, "NFC error 5: Failed to allocate the requested %llu bytes",
                     (unsigned long long)len);
        if (request->fault.action == FAULT_FAIL)
            return value;
    }
    uint64_t lost = atomic_load(&handle->lost);
    if (lost != VIX_OK)
        return lost;
    if (request->buf)
        return backing_read(handle->backing, lane, request->buf, len, offset);
    if (handle->read_only)
        return VIX_E_FILE_READ_ONLY;
    return backing_write(handle->backing, request->data, len, offset);
}

/* ---- buffers in flight ---- */

static uint64_t
sum_of(const uint8_t *data, uint64_t len)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < len; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
    }
    return sum;
}

static const uint8_t *
buffer_of(const struct request *request)
{
    return request->buf ? request->buf : request->data;
}

static void
check_overlap(const struct request *a)
{
    for (const struct request *b = flying; b; b = b->flying_next) {
        const uint8_t *from_a = buffer_of(a);
        const uint8_t *from_b = buffer_of(b);
        bool apart = from_a + a->n * VIX_SECTOR_BYTES <= from_b ||
                     from_b + b->n * VIX_SECTOR_BYTES <= from_a;
        if (!apart && (a->buf || b->buf))
            violation("the buffer of the request for sectors %llu + %llu is still that of another, "
                      "for %llu + %llu",
                      (unsigned long long)a->start, (unsigned long long)a->n,
                      (unsigned long long)b->start, (unsigned long long)b->n);
    }
}

static void
fly(struct request *request)
{
    uint64_t len = request->n * VIX_SECTOR_BYTES;
    pthread_mutex_lock(&flying_lock);
    check_overlap(request);
    request->flying_next = flying;
    request->flying_link = &flying;
    if (flying)
        flying->flying_link = &request->flying_next;
    flying = request;
    pthread_mutex_unlock(&flying_lock);
    if (!request->buf) {
        request->mark = sum_of(request->data, len);
        return;
    }
    request->mark = (request->number * 0x9e3779b97f4a7c15ULL) | 1;
    for (uint64_t i = 0; i < len; i += MARK_STEP)
        memcpy(request->buf + i, &request->mark, sizeof request->mark);
    memcpy(request->buf + len - sizeof request->mark, &request->mark, sizeof request->mark);
}

static void
land(struct request *request)
{
    pthread_mutex_lock(&flying_lock);
    *request->flying_link = request->flying_next;
    if (request->flying_next)
        request->flying_next->flying_link = request->flying_link;
    pthread_mutex_unlock(&flying_lock);
}

static bool
is_unmapped(const uint8_t *buf, uint64_t len)
{
    uintptr_t page = (uintptr_t)buf & ~(uintptr_t)(PAGE_BYTES - 1);
    uint64_t n = (uintptr_t)buf + len - page;
    unsigned char *vec = malloc(n / PAGE_BYTES + 1);
    bool unmapped = vec && mincore((void *)page, n, vec) < 0 && errno == ENOMEM;
    free(vec);
    return unmapped;
}

static void
check_marks(const struct request *request)
{
    uint64_t len = request->n * VIX_SECTOR_BYTES;
    bool same = true;
    if (is_unmapped(buffer_of(request), len))
        violation("the buffer of the request for sectors %llu + %llu was given back before the "
                  "request was complete",
                  (unsigned long long)request->start, (unsigned long long)request->n);
    if (request->buf) {
        for (uint64_t i = 0; i < len && same; i += MARK_STEP)
            same = memcmp(request->buf + i, &request->mark, sizeof request->mark) == 0;
        same = same && memcmp(request->buf + len - sizeof request->mark, &request->mark,
                              sizeof request->mark) == 0;
    } else {
        same = sum_of(request->data, len) == request->mark;
    }
    if (!same)
        violation("the buffer of the request for sectors %llu + %llu was touched before the "
                  "request was complete",
                  (unsigned long long)request->start, (unsigned long long)request->n);
}
