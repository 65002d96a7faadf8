/* The qcow2 target.
 *
 * Theory of operation: a lane that writes a range finds, under the image's lock, the clusters of
 * the file it goes to (allocating from one end), writes the data without the lock, and then enters
 * the mapping. So an L2 table never points to data that was not written, and a crash leaves at most
 * allocated clusters that nothing points to, which the next opening finds free again.
 *
 * The image is marked dirty from the first change on. Refcounts exist in the file only when it is
 * finished: see qcow2-refcount.h. A flush is two steps, L2 tables and data, then the L1 table, each
 * followed by fdatasync, so that L1 never points to a table that a power cut could have eaten.
 *
 * Data goes by direct I/O where the file system can (a page cache of a terabyte that nobody reads
 * again helps no one); tables go through the page cache. Neither ever touches the other's clusters.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "disk/direct-io.h"
#include "disk/qcow2-map.h"
#include "disk/target.h"

struct qcow2 {
    struct target target;
    int fd;               /* tables */
    int data_fd;          /* data; direct where possible */
    uint64_t whole_bytes; /* of the file when it was opened, to the end of its last cluster */
    pthread_mutex_t lock;
    struct qcow2_header header; /* lock */
    struct qcow2_refs refs;     /* lock */
    struct qcow2_map map;       /* lock */
    struct room_ahead room;     /* lock */
};

static int create_image(struct qcow2 *q, struct err *err);
static int open_image(struct qcow2 *q, struct err *err);
static void qcow2_close(struct target *tgt);

static const struct target_ops qcow2_ops;

static struct qcow2 *
to_qcow2(struct target *tgt)
{
    return (struct qcow2 *)tgt;
}

static void
close_cleanup(struct qcow2 **q)
{
    if (*q)
        qcow2_close(&(*q)->target);
}

int
target_qcow2_open(const struct target_spec *spec, struct target **ret, struct err *err)
{
    AUTO(close_cleanup) struct qcow2 *q = calloc(1, sizeof *q);
    if (!q)
        return err_errno(err, ENOMEM, "%s", spec->uri);
    q->fd = q->data_fd = -1;
    q->target = (struct target){
        .ops = &qcow2_ops,
        .name = strdup(spec->uri),
        .bytes = spec->bytes,
        .zero_at_start = spec->create,
    };
    pthread_mutex_init(&q->lock, NULL);
    if (!q->target.name)
        return err_errno(err, ENOMEM, "%s", spec->uri);
    q->fd = open(spec->uri, O_RDWR | O_CLOEXEC | (spec->create ? O_CREAT : 0), 0666);
    if (q->fd < 0)
        return err_errno(err, errno, "%s: open", spec->uri);
    if (fd_lock_image(q->fd, spec->uri, err) < 0)
        return -1;
    if (spec->create && ftruncate(q->fd, 0) < 0)
        return err_errno(err, errno, "%s: truncate", spec->uri);
    if ((q->data_fd = direct_open(q->fd, spec->uri, &q->room.useful, err)) < 0)
        return -1;
    if ((spec->create ? create_image(q, err) : open_image(q, err)) < 0)
        return -1;
    if (target_identity_of(q->fd, spec->uri, q->target.identity, err) < 0)
        return -1;
    *ret = &TAKE_PTR(q)->target;
    return 0;
}

static int
create_image(struct qcow2 *q, struct err *err)
{
    const char *name = q->target.name;
    q->header = (struct qcow2_header){
        .bytes = q->target.bytes,
        .l1_entries = qcow2_l1_entries_for(q->target.bytes),
        .l1_offset = CLUSTER_BYTES,
        .dirty = true,
    };
    uint64_t l1_clusters = div_up((uint64_t)q->header.l1_entries * 8, CLUSTER_BYTES);
    if (ftruncate(q->fd, (off_t)((1 + l1_clusters) * CLUSTER_BYTES)) < 0)
        return err_errno(err, errno, "%s: make room", name);
    if (qcow2_refs_claim(&q->refs, 0, 1 + l1_clusters, err) < 0 ||
        qcow2_map_init(&q->map, q->fd, name, &q->refs, &q->header, false, err) < 0)
        return -1;
    q->refs.search = q->refs.end;
    return qcow2_header_write(q->fd, &q->header, name, err);
}

static int
open_image(struct qcow2 *q, struct err *err)
{
    const char *name = q->target.name;
    struct stat st;
    if (fstat(q->fd, &st) < 0)
        return err_errno(err, errno, "%s: stat", name);
    uint64_t file_bytes = (uint64_t)st.st_size;
    if (qcow2_header_read(q->fd, file_bytes, name, &q->header, err) < 0)
        return -1;
    if (q->header.bytes != q->target.bytes)
        return err_set(err, ERR_INVALID,
                       "%s: image holds a disk of %" PRIu64 " bytes, the source has %" PRIu64, name,
                       q->header.bytes, q->target.bytes);
    if (qcow2_map_init(&q->map, q->fd, name, &q->refs, &q->header, true, err) < 0)
        return -1;
    /* What the mapping uses is what counts, and every entry of it is looked at: the refcounts of a
     * dirty image were never written, and those of a clean one are only told by the same tables. */
    uint64_t l1_clusters = div_up((uint64_t)q->header.l1_entries * 8, CLUSTER_BYTES);
    if (qcow2_refs_claim(&q->refs, 0, 1, err) < 0 ||
        qcow2_refs_claim(&q->refs, q->header.l1_offset / CLUSTER_BYTES, l1_clusters, err) < 0)
        return err_prefix(err, "%s", name);
    /* QEMU leaves the zeroes at the end of a file's last cluster out; we have written all of it. */
    uint64_t whole_bytes = q->header.dirty ? round_down(file_bytes, CLUSTER_BYTES)
                                           : round_up(file_bytes, CLUSTER_BYTES);
    if (qcow2_map_claim(&q->map, whole_bytes, err) < 0)
        return -1;
    q->whole_bytes = whole_bytes;
    if (q->header.dirty)
        qcow2_map_doubt(&q->map);
    return 0;
}

/* Before the first change: the refcounts are no longer what the tables say. Until then an image
 * that was finished stays so, whatever becomes of this copy. Under the lock. */
static int
mark_dirty(struct qcow2 *q, struct err *err)
{
    if (q->header.dirty)
        return 0;
    q->header.refcount_table_offset = 0;
    q->header.refcount_table_clusters = 0;
    q->header.dirty = true;
    if (qcow2_header_write(q->fd, &q->header, q->target.name, err) < 0)
        return -1;
    if (ftruncate(q->fd, (off_t)q->whole_bytes) < 0 || fdatasync(q->fd) < 0)
        return err_errno(err, errno, "%s: flush", q->target.name);
    return 0;
}

/* ---- data ---- */

/* A run of guest clusters that lie side by side in the file, too. */
struct run {
    uint64_t host; /* bytes into the file */
    size_t n;      /* clusters */
    bool fresh;    /* to be entered into the mapping after the write */
};

static bool
is_fresh(uint64_t entry)
{
    /* A cluster marked zero keeps its place in the file, but the mark must go. */
    return !(entry & QCOW2_ENTRY_OFFSET) || (entry & QCOW2_ENTRY_ZERO);
}

/* Where the clusters from `first` go: as many of the n as lie side by side. Under the lock. */
static int
place_run(struct qcow2 *q, uint64_t first, size_t n, struct run *ret, struct err *err)
{
    struct run run = { 0 };
    size_t unallocated = 0;
    if (mark_dirty(q, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        uint64_t entry;
        if (qcow2_map_get(&q->map, first + i, &entry, err) < 0)
            return -1;
        uint64_t offset = entry & QCOW2_ENTRY_OFFSET;
        if (i == 0) {
            run = (struct run){ .host = offset, .n = 1, .fresh = is_fresh(entry) };
            unallocated = offset == 0;
        } else if (unallocated && offset == 0) {
            unallocated++;
        } else if (!unallocated && offset == run.host + run.n * CLUSTER_BYTES &&
                   run.fresh == is_fresh(entry)) {
            run.n++;
        } else {
            break;
        }
    }
    if (unallocated) {
        uint64_t host, got;
        if (qcow2_refs_alloc(&q->refs, unallocated, &host, &got, err) < 0)
            return err_prefix(err, "%s", q->target.name);
        run.host = host * CLUSTER_BYTES;
        run.n = (size_t)got;
        room_ahead_want(&q->room, q->fd, q->refs.end * CLUSTER_BYTES);
    }
    *ret = run;
    return 0;
}

static int
enter_run(struct qcow2 *q, uint64_t first, const struct run *run, struct err *err)
{
    for (size_t i = 0; i < run->n; i++)
        if (qcow2_map_set(&q->map, first + i, (run->host + i * CLUSTER_BYTES) | QCOW2_ENTRY_COPIED,
                          err) < 0)
            return -1;
    return 0;
}

static int
qcow2_write(struct target *tgt, const void *data, size_t len, uint64_t offset, struct err *err)
{
    struct qcow2 *q = to_qcow2(tgt);
    uint64_t first = offset / CLUSTER_BYTES;
    size_t n = (size_t)div_up(len, CLUSTER_BYTES);
    const uint8_t *from = data;
    while (n > 0) {
        struct run run = { 0 };
        pthread_mutex_lock(&q->lock);
        int r = place_run(q, first, n, &run, err);
        pthread_mutex_unlock(&q->lock);
        if (r < 0 ||
            fd_pwrite(q->data_fd, from, run.n * CLUSTER_BYTES, run.host, tgt->name, err) < 0)
            return -1;
        if (run.fresh) {
            pthread_mutex_lock(&q->lock);
            r = enter_run(q, first, &run, err);
            pthread_mutex_unlock(&q->lock);
            if (r < 0)
                return -1;
        }
        first += run.n;
        n -= run.n;
        from += run.n * CLUSTER_BYTES;
    }
    return 0;
}

static int
zero_cluster(struct qcow2 *q, uint64_t cluster, struct err *err)
{
    uint64_t entry;
    if (qcow2_map_get(&q->map, cluster, &entry, err) < 0)
        return -1;
    if (!(entry & QCOW2_ENTRY_OFFSET) || (entry & QCOW2_ENTRY_ZERO))
        return 0;
    if (mark_dirty(q, err) < 0)
        return -1;
    return qcow2_map_set(&q->map, cluster, entry | QCOW2_ENTRY_ZERO, err);
}

static int
qcow2_zero(struct target *tgt, unsigned lane, uint64_t offset, uint64_t len, struct err *err)
{
    (void)lane;
    struct qcow2 *q = to_qcow2(tgt);
    uint64_t cluster = offset / CLUSTER_BYTES, end = div_up(offset + len, CLUSTER_BYTES);
    int r = 0;
    pthread_mutex_lock(&q->lock);
    while (cluster < end && r == 0) {
        if (qcow2_map_is_empty(&q->map, cluster)) {
            cluster = round_down(cluster, QCOW2_L2_ENTRIES) + QCOW2_L2_ENTRIES;
            continue;
        }
        r = zero_cluster(q, cluster, err);
        cluster++;
    }
    pthread_mutex_unlock(&q->lock);
    return r;
}

/* Reads at most up to the end of one cluster run; the caller asks for whole clusters. */
static int
qcow2_read(struct target *tgt, unsigned lane, void *data, size_t len, uint64_t offset,
           bool *ret_hole, struct err *err)
{
    (void)lane;
    struct qcow2 *q = to_qcow2(tgt);
    bool hole = true;
    for (size_t done = 0; done < len; done += CLUSTER_BYTES) {
        size_t now = (size_t)MIN(CLUSTER_BYTES, len - done);
        uint64_t entry;
        pthread_mutex_lock(&q->lock);
        int r = qcow2_map_get(&q->map, (offset + done) / CLUSTER_BYTES, &entry, err);
        pthread_mutex_unlock(&q->lock);
        if (r < 0)
            return -1;
        uint8_t *to = (uint8_t *)data + done;
        bool zero = !(entry & QCOW2_ENTRY_OFFSET) || (entry & QCOW2_ENTRY_ZERO);
        if (!zero && hole) {
            memset(data, 0, done);
            hole = false;
        }
        if (zero && !hole)
            memset(to, 0, now);
        ssize_t n = (ssize_t)CLUSTER_BYTES;
        if (!zero && (n = fd_pread(q->data_fd, to, CLUSTER_BYTES, entry & QCOW2_ENTRY_OFFSET,
                                   tgt->name, err)) < 0)
            return -1;
        memset(to + n, 0, CLUSTER_BYTES - (size_t)n); /* see open_image */
    }
    *ret_hole = hole;
    return 0;
}

/* By the L1 table alone: whole tables that are not there. */
static bool
qcow2_is_hole(struct target *tgt, uint64_t offset, uint64_t len)
{
    struct qcow2 *q = to_qcow2(tgt);
    uint64_t cluster = offset / CLUSTER_BYTES, end = div_up(offset + len, CLUSTER_BYTES);
    bool hole = true;
    pthread_mutex_lock(&q->lock);
    for (; cluster < end && hole;
         cluster = round_down(cluster, QCOW2_L2_ENTRIES) + QCOW2_L2_ENTRIES)
        hole = qcow2_map_is_empty(&q->map, cluster);
    pthread_mutex_unlock(&q->lock);
    return hole;
}

static void
qcow2_uncache(struct target *tgt)
{
    cache_drop(to_qcow2(tgt)->fd);
}

/* ---- durability ---- */

static int
flush_file(struct qcow2 *q, struct err *err)
{
    if (fdatasync(q->fd) < 0)
        return err_errno(err, errno, "%s: flush", q->target.name);
    return 0;
}

static int
qcow2_flush(struct target *tgt, struct err *err)
{
    struct qcow2 *q = to_qcow2(tgt);
    auto_free void *l1 = NULL;
    size_t l1_len = 0;
    uint64_t l1_offset = 0;
    pthread_mutex_lock(&q->lock);
    int r = qcow2_map_write(&q->map, &l1, &l1_len, &l1_offset, err);
    pthread_mutex_unlock(&q->lock);
    if (r < 0 || flush_file(q, err) < 0)
        return -1;
    if (!l1)
        return 0;
    if (fd_pwrite(q->fd, l1, l1_len, l1_offset, tgt->name, err) < 0)
        return -1;
    return flush_file(q, err);
}

static int
qcow2_finish(struct target *tgt, struct err *err)
{
    struct qcow2 *q = to_qcow2(tgt);
    if (!q->header.dirty)
        return 0;
    if (qcow2_flush(tgt, err) < 0 ||
        qcow2_refs_store(&q->refs, q->fd, &q->header, tgt->name, err) < 0)
        return -1;
    if (ftruncate(q->fd, (off_t)(q->refs.end * CLUSTER_BYTES)) < 0)
        return err_errno(err, errno, "%s: cut to its size", tgt->name);
    if (flush_file(q, err) < 0)
        return -1;
    q->header.dirty = false;
    if (qcow2_header_write(q->fd, &q->header, tgt->name, err) < 0)
        return -1;
    if (flush_file(q, err) == 0)
        return 0;
    /* Or the next process would read that it is finished, and leave it at that. */
    struct err ignored = ERR_INIT;
    q->header.dirty = true;
    qcow2_header_write(q->fd, &q->header, tgt->name, &ignored);
    return -1;
}

static void
qcow2_close(struct target *tgt)
{
    struct qcow2 *q = to_qcow2(tgt);
    if (q->data_fd >= 0)
        close(q->data_fd);
    if (q->fd >= 0)
        close(q->fd);
    qcow2_map_free(&q->map);
    qcow2_refs_free(&q->refs);
    pthread_mutex_destroy(&q->lock);
    free(tgt->name);
    free(q);
}

static const struct target_ops qcow2_ops = {
    .name = "qcow2",
    .write = qcow2_write,
    .zero = qcow2_zero,
    .read = qcow2_read,
    .is_hole = qcow2_is_hole,
    .uncache = qcow2_uncache,
    .flush = qcow2_flush,
    .finish = qcow2_finish,
    .close = qcow2_close,
};
