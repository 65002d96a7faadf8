/* Numbers and shapes that the whole room shares. */
#ifndef DISK_DISK_H
#define DISK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/checked.h"
#include "base/err.h"

/* The unit in which progress is remembered, zeroes are found and qcow2 is written. */
#define CLUSTER_BITS 16
#define CLUSTER_BYTES ((uint64_t)1 << CLUSTER_BITS)

/* A disk is whole sectors: a source of another size is continued with zeroes. */
#define SECTOR_BYTES 512

/* One read and one write move at most this much; a multiple of the cluster. */
#define REQUEST_BYTES MIB
#define REQUEST_CLUSTERS (REQUEST_BYTES / CLUSTER_BYTES)

/* Largest virtual disk. The format's tables would hold more; 64 TiB is above what vSphere, qemu
 * and the clouds accept (62 TiB) and keeps every table of ours in reasonable memory. */
#define DISK_MAX_BYTES (64 * TIB)

/* Buffers and direct I/O. */
#define IO_ALIGN 4096

/* A request: one range on its way from the source to the target.
 *
 * It is on exactly one list of its lane (free, reading, ready, writing) and moves by being moved.
 * offset is a multiple of the cluster; len too, except where the disk ends. Only the lane's thread
 * touches it.
 */
struct request {
    uint64_t offset;  /* bytes, into the virtual disk */
    uint64_t run_end; /* up to here the same lane will read on; at least the end of this one */
    size_t len;       /* bytes, 1 to REQUEST_BYTES */
    uint8_t *data;    /* whole clusters, IO_ALIGN-aligned, belongs to the lane */
    size_t room;      /* clusters at data */
    uint32_t present; /* bit i: cluster i holds data to store (a stream may bring only some) */
    bool overwrites;  /* something else may have been stored there in this copy */
    unsigned pending; /* asynchronous writes still under way */
    uint64_t hashes[REQUEST_CLUSTERS]; /* what the map will remember */
    struct err err;                    /* of an asynchronous read or write */
    struct request *next;
    struct lane *lane;
};

static inline size_t
request_clusters(const struct request *req)
{
    return (size_t)div_up(req->len, CLUSTER_BYTES);
}

/* Bytes of cluster i of a request: the last cluster of a disk may be short. */
static inline size_t
request_cluster_len(const struct request *req, size_t i)
{
    return (size_t)MIN(CLUSTER_BYTES, req->len - i * CLUSTER_BYTES);
}

/* Bytes of the clusters that hold data to store. */
static inline size_t
request_present_bytes(const struct request *req)
{
    size_t bytes = 0;
    for (size_t i = 0; i < request_clusters(req); i++)
        bytes += req->present >> i & 1 ? request_cluster_len(req, i) : 0;
    return bytes;
}

/* For asynchronous sources and targets: the read or write of a request ended. Called on the lane's
 * thread; it only moves the request. errnum 0: fine. */
void request_read_done(struct request *req, int errnum, const char *what);
void request_write_done(struct request *req, int errnum, const char *what);

#endif
