/* Direct I/O, where the file system offers it and gains by it.
 *
 * A copy reads and writes every byte once; going around the page cache saves a copy in memory, the
 * eviction of everything else on the host, and the stall when gigabytes of dirty pages must go at
 * the flush. See BENCHMARKING.md for what that is worth.
 */
#ifndef DISK_DIRECT_IO_H
#define DISK_DIRECT_IO_H

#include <sys/stat.h>

#include "disk/disk.h"

/* A second descriptor for the file behind fd, with its access mode: O_DIRECT where the file system
 * can (*ret_direct), else through the page cache. name is for the error. */
int direct_open(int fd, const char *name, bool *ret_direct, struct err *err);

/* Drop the file's clean pages from the page cache, where the descriptor is not direct. */
void cache_drop(int fd);

/* Room allocated ahead of the writing: a direct write that makes a file longer has to wait for
 * all others, one into reserved room has not. */
struct room_ahead {
    bool useful;      /* the descriptor is direct, on a file system that can reserve */
    uint64_t reached; /* bytes; room is reserved up to here */
};

/* The file is about to grow to `bytes`. A failure is no error: the write itself will tell. */
void room_ahead_want(struct room_ahead *room, int fd, uint64_t bytes);

/* A mapping of a file that is never touched, only asked what of it is in the page cache. */
struct cache_view {
    void *address; /* NULL: cannot tell */
    uint64_t bytes;
};

void cache_view_open(struct cache_view *view, int fd, uint64_t bytes);
void cache_view_close(struct cache_view *view);

/* True when most of the range (at most REQUEST_BYTES) is in the page cache: then a copy in memory
 * beats the device. False too when it cannot be told. */
bool cache_view_holds(const struct cache_view *view, uint64_t offset, size_t len);

#define TARGET_IDENTITY_MAX 64
/* Device, inode and birth: to notice an image that was replaced. The number of an inode is soon
 * given to the next file; its birth tells them apart, where the file system knows it. */
int target_identity_of(int fd, const char *name, char ret[TARGET_IDENTITY_MAX], struct err *err);

#endif
