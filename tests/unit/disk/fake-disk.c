#include "fake-disk.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "scratch.h"

static void
disk_open(struct fake_disk *disk, uint64_t bytes)
{
    *disk = (struct fake_disk){ .bytes = calloc(1, bytes), .n_bytes = bytes };
    assert_non_null(disk->bytes);
    pthread_mutex_init(&disk->lock, NULL);
}

void
fake_fill(struct fake_disk *disk, uint64_t seed)
{
    uint64_t at = 0;
    while (at < disk->n_bytes) {
        uint64_t kind = next_random(&seed) % 4;
        uint64_t units[] = { 1, 512, 4096, CLUSTER_BYTES };
        uint64_t len = units[next_random(&seed) % 4] * (1 + next_random(&seed) % 9);
        uint64_t end = MIN(at + len, disk->n_bytes);
        for (; at < end; at++)
            disk->bytes[at] = kind == 0 ? 0 : (uint8_t)next_random(&seed);
    }
}

static void
disk_close(struct fake_disk *disk)
{
    pthread_mutex_destroy(&disk->lock);
    free(disk->bytes);
}

static bool
is_broken(const struct fake_disk *disk, uint64_t offset, size_t len)
{
    return offset < disk->fail_to && offset + len > disk->fail_from;
}

static void
note_buffer(struct fake_disk *disk, const void *buffer)
{
    pthread_mutex_lock(&disk->lock);
    size_t i = 0;
    while (i < disk->n_buffers && disk->buffers[i] != buffer)
        i++;
    if (i == disk->n_buffers && i < ARRAY_LEN(disk->buffers))
        disk->buffers[disk->n_buffers++] = buffer;
    pthread_mutex_unlock(&disk->lock);
}

/* ---- what is under way ---- */

static void
queues_open(struct fake_queue *queues)
{
    for (size_t i = 0; i < FAKE_LANES; i++)
        queues[i] = (struct fake_queue){ .event_fd = eventfd(0, EFD_CLOEXEC), .seed = i };
}

static void
queues_close(struct fake_queue *queues)
{
    for (size_t i = 0; i < FAKE_LANES; i++)
        close(queues[i].event_fd);
}

static void
queue_add(struct fake_queue *queue, struct fake_io io)
{
    uint64_t one = 1;
    if (queue->n == ARRAY_LEN(queue->ios) || write(queue->event_fd, &one, sizeof one) < 0)
        abort();
    queue->ios[queue->n++] = io;
    queue->most = MAX(queue->most, queue->n);
}

/* Any one of them. */
static struct fake_io
queue_take(struct fake_queue *queue)
{
    uint64_t left;
    if (queue->n == 0 || read(queue->event_fd, &left, sizeof left) < 0)
        abort();
    size_t i = (size_t)(next_random(&queue->seed) % queue->n);
    struct fake_io io = queue->ios[i];
    queue->ios[i] = queue->ios[--queue->n];
    left = queue->n;
    if (left > 0 && write(queue->event_fd, &left, sizeof left) < 0)
        abort();
    return io;
}

static int
queue_poll(const struct fake_queue *queue, struct pollfd *ret)
{
    *ret = (struct pollfd){ .fd = queue->event_fd, .events = POLLIN };
    return 0;
}

/* ---- source ---- */

static int
do_read(struct fake_source *fake, struct request *req)
{
    note_buffer(&fake->disk, req->data);
    pthread_mutex_lock(&fake->disk.lock);
    fake->disk.n_reads++;
    fake->disk.read_bytes += req->len;
    pthread_mutex_unlock(&fake->disk.lock);
    if (is_broken(&fake->disk, req->offset, req->len))
        return EIO;
    memcpy(req->data, fake->disk.bytes + req->offset, req->len);
    return 0;
}

static int
source_read(struct source *src, unsigned lane, struct request *req, struct err *err)
{
    (void)lane;
    int errnum = do_read((struct fake_source *)src, req);
    return errnum ? err_errno(err, errnum, "fake: read") : 0;
}

static int
source_submit(struct source *src, unsigned lane, struct request *req, struct err *err)
{
    (void)err;
    queue_add(&((struct fake_source *)src)->queues[lane], (struct fake_io){ .req = req });
    return 0;
}

static int
source_poll_events(struct source *src, unsigned lane, struct pollfd *ret, struct err *err)
{
    (void)err;
    return queue_poll(&((struct fake_source *)src)->queues[lane], ret);
}

static int
source_poll_dispatch(struct source *src, unsigned lane, short revents, struct err *err)
{
    (void)revents;
    (void)err;
    struct fake_source *fake = (struct fake_source *)src;
    struct fake_io io = queue_take(&fake->queues[lane]);
    request_read_done(io.req, do_read(fake, io.req), "read");
    return 0;
}

static int
source_extents(struct source *src, uint64_t offset, uint64_t len, struct extent_list *ret,
               struct err *err)
{
    struct fake_source *fake = (struct fake_source *)src;
    uint64_t end = offset + len;
    extent_clear(ret);
    while (offset < end && ret->n < fake->extents_max) {
        uint64_t next = MIN(round_down(offset, fake->granule) + fake->granule, end);
        bool zero = true;
        for (uint64_t i = round_down(offset, fake->granule); i < next && zero; i++)
            zero = fake->disk.bytes[i] == 0;
        if (extent_add(ret, offset, next - offset, zero, err) < 0)
            return -1;
        offset = next;
    }
    return 0;
}

static const struct source_ops sync_source = {
    .name = "fake",
    .extents = source_extents,
    .read = source_read,
};
static const struct source_ops async_source = {
    .name = "fake",
    .extents = source_extents,
    .submit = source_submit,
    .poll_events = source_poll_events,
    .poll_dispatch = source_poll_dispatch,
};

void
fake_source_open(struct fake_source *fake, uint64_t bytes, bool async, unsigned n_lanes,
                 unsigned depth)
{
    *fake = (struct fake_source){ .granule = 4096, .extents_max = 100 };
    disk_open(&fake->disk, bytes);
    queues_open(fake->queues);
    fake->source = (struct source){
        .ops = async ? &async_source : &sync_source,
        .name = (char *)"fake source",
        .bytes = bytes,
        .n_lanes = n_lanes,
        .depth = depth,
    };
}

void
fake_source_close(struct fake_source *fake)
{
    queues_close(fake->queues);
    disk_close(&fake->disk);
}

/* ---- target ---- */

static int
do_write(struct fake_target *fake, const void *data, size_t len, uint64_t offset)
{
    if (offset % CLUSTER_BYTES != 0 || offset + len > fake->disk.n_bytes ||
        (len % CLUSTER_BYTES != 0 && offset + len != fake->disk.n_bytes))
        abort();
    pthread_mutex_lock(&fake->disk.lock);
    fake->disk.n_writes++;
    pthread_mutex_unlock(&fake->disk.lock);
    if (is_broken(&fake->disk, offset, len))
        return ENOSPC;
    memcpy(fake->disk.bytes + offset, data, len);
    return 0;
}

static int
target_write(struct target *tgt, const void *data, size_t len, uint64_t offset, struct err *err)
{
    int errnum = do_write((struct fake_target *)tgt, data, len, offset);
    return errnum ? err_errno(err, errnum, "fake: write") : 0;
}

static int
target_submit(struct target *tgt, unsigned lane, struct request *req, const void *data, size_t len,
              uint64_t offset, struct err *err)
{
    (void)err;
    queue_add(&((struct fake_target *)tgt)->queues[lane],
              (struct fake_io){ .req = req, .data = data, .len = len, .offset = offset });
    return 0;
}

static int
target_poll_events(struct target *tgt, unsigned lane, struct pollfd *ret, struct err *err)
{
    (void)err;
    return queue_poll(&((struct fake_target *)tgt)->queues[lane], ret);
}

static int
target_poll_dispatch(struct target *tgt, unsigned lane, short revents, struct err *err)
{
    (void)revents;
    (void)err;
    struct fake_target *fake = (struct fake_target *)tgt;
    struct fake_io io = queue_take(&fake->queues[lane]);
    request_write_done(io.req, do_write(fake, io.data, io.len, io.offset), "write");
    return 0;
}

static int
target_zero(struct target *tgt, unsigned lane, uint64_t offset, uint64_t len, struct err *err)
{
    (void)lane;
    (void)err;
    struct fake_target *fake = (struct fake_target *)tgt;
    if (offset % CLUSTER_BYTES != 0 || offset + len > fake->disk.n_bytes)
        abort();
    pthread_mutex_lock(&fake->disk.lock);
    fake->disk.n_zeroes++;
    pthread_mutex_unlock(&fake->disk.lock);
    memset(fake->disk.bytes + offset, 0, len);
    return 0;
}

static int
target_read(struct target *tgt, unsigned lane, void *data, size_t len, uint64_t offset,
            bool *ret_hole, struct err *err)
{
    (void)lane;
    (void)err;
    *ret_hole = false;
    memcpy(data, ((struct fake_target *)tgt)->disk.bytes + offset, len);
    return 0;
}

static int
target_flush(struct target *tgt, struct err *err)
{
    (void)err;
    struct fake_disk *disk = &((struct fake_target *)tgt)->disk;
    pthread_mutex_lock(&disk->lock);
    disk->n_flushes++;
    pthread_mutex_unlock(&disk->lock);
    return 0;
}

static const struct target_ops sync_target = {
    .name = "fake",
    .write = target_write,
    .zero = target_zero,
    .read = target_read,
    .flush = target_flush,
    .finish = target_flush,
};
static const struct target_ops async_target = {
    .name = "fake",
    .submit = target_submit,
    .poll_events = target_poll_events,
    .poll_dispatch = target_poll_dispatch,
    .zero = target_zero,
    .read = target_read,
    .flush = target_flush,
    .finish = target_flush,
};

void
fake_target_open(struct fake_target *fake, uint64_t bytes, bool async, bool zero_at_start)
{
    *fake = (struct fake_target){ 0 };
    disk_open(&fake->disk, bytes);
    queues_open(fake->queues);
    if (!zero_at_start)
        memset(fake->disk.bytes, 0xee, bytes);
    fake->target = (struct target){
        .ops = async ? &async_target : &sync_target,
        .name = (char *)"fake target",
        .bytes = bytes,
        .zero_at_start = zero_at_start,
    };
}

void
fake_target_close(struct fake_target *fake)
{
    queues_close(fake->queues);
    disk_close(&fake->disk);
}

void
fake_reconnect(struct fake_source *source, struct fake_target *target)
{
    queues_close(source->queues);
    queues_open(source->queues);
    queues_close(target->queues);
    queues_open(target->queues);
}
