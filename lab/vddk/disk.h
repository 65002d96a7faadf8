/* A connection, an open disk, what its bytes come from, and its queue of requests. */
#ifndef LAB_VDDK_DISK_H
#define LAB_VDDK_DISK_H

#include <pthread.h>

#include "library.h"

#define PATH_BYTES 4096

/* ---- connection.c ---- */

/* A string of the caller, which he keeps alive and unchanged until Disconnect. */
struct kept {
    const char *name, *theirs;
    char *copy;
};
#define KEPT_MAX 8

struct vix_connection {
    struct vix_connection *next;
    bool closed, remote, read_only, foreign_params;
    struct kept kept[KEPT_MAX];
    unsigned n_kept;
    int cred_type;
    uint32_t port, nfc_port;
    char *snapshot, *transports;
    unsigned n_handles;
};

/* violation unless it is one that ConnectEx made and Disconnect has not ended. */
void connection_check(struct vix_connection *connection, const char *function);
void connection_check_strings(const struct vix_connection *connection, const char *function);
/* The caller's parameter ("serverName", "userName"...), or "" when he gave none. */
const char *connection_word(const struct vix_connection *connection, const char *name);
/* How many are connected. */
unsigned connection_count(void);
/* At Exit: forget the ended ones. */
void connections_free(void);
/* The first transport of the caller's list that works here; NULL: none. */
const char *connection_transport(const struct vix_connection *connection);

/* ---- backing.c: the bytes of a disk ---- */

struct nbd_handle;
#define LANES_MAX 65
#define DDB_MAX 64

struct backing {
    int fd;                            /* of a raw file, or -1 */
    struct nbd_handle *nbd[LANES_MAX]; /* else a connection for each thread that reads */
    unsigned n_nbd;
    bool writable;
    uint64_t offset_bytes; /* of the disk in the file */
    uint64_t sectors;
    uint32_t sector_bytes;
    int adapter_type, num_links;
    char *uuid;
    struct {
        char *key, *value;
    } ddb[DDB_MAX];
    unsigned n_ddb;
};

/* A raw file, or the descriptor of a flat one. */
uint64_t backing_open(const char *path, bool writable, struct backing **ret);
/* What the server of the lab tells to read: a raw file, or a unix socket of an NBD server. */
uint64_t backing_open_raw(const char *path, uint64_t sectors, struct backing **ret);
uint64_t backing_open_nbd(const char *socket, unsigned lanes, uint64_t sectors,
                          struct backing **ret);
void backing_close(struct backing *backing);
uint64_t backing_read(struct backing *backing, unsigned lane, void *buf, uint64_t len,
                      uint64_t offset);
uint64_t backing_write(struct backing *backing, const void *buf, uint64_t len, uint64_t offset);
uint64_t backing_flush(struct backing *backing);
/* Call mark for the allocated runs within [offset, offset + len), bytes, ascending. */
uint64_t backing_allocation(struct backing *backing, uint64_t offset, uint64_t len,
                            void (*mark)(void *arg, uint64_t offset, uint64_t len), void *arg);

/* ---- remote.c: the conversation with lab/vsphere/nfc.py ---- */

struct remote;
struct remote_open {
    struct vix_connection *connection;
    const char *path, *transport;
    uint32_t flags;
    unsigned lanes;
};
/* Connect, log in, open; the line and the slot in it are the host's. */
uint64_t remote_open(const struct remote_open *what, struct remote **ret, struct backing **backing,
                     struct host_line **line, unsigned *slot);
void remote_close(struct remote *remote);
/* VIX_OK, or why nothing comes over this connection any more. */
uint64_t remote_state(struct remote *remote);
/* The fault that the server wants for the number-th read of this handle. */
bool remote_fault(struct remote *remote, uint64_t number, struct fault *ret);

/* ---- handle.c ---- */

struct request {
    struct request *next;                       /* in the queue */
    struct request *flying_next, **flying_link; /* of all requests of the process */
    struct vix_handle *handle;
    uint64_t start, n; /* sectors */
    uint8_t *buf;      /* of a read */
    const uint8_t *data;
    vix_completion_fn *done;
    void *done_data;
    uint64_t due_ns;
    uint64_t number; /* of the reads of this process */
    uint64_t mark;   /* what stands in the buffer until the data come */
    struct fault fault;
    bool has_fault, took_memory, queued;
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t ready, idle;
    struct request *head; /* by due_ns */
    unsigned pending;     /* the completion has not been called */
    unsigned outstanding; /* the completion has not returned */
    bool timed, stop, running;
    unsigned n_threads;
    pthread_t threads[LANES_MAX];
};

struct vix_handle {
    struct vix_handle *next;
    bool closed, read_only, must_wait;
    struct vix_connection *connection;
    struct backing *backing;
    struct remote *remote;
    struct host_line *line;
    unsigned slot;
    char transport[16];
    enum completion completion;
    _Atomic uint64_t lost; /* VixError of all that comes, once the connection is lost */
    _Atomic uint64_t reads;
    _Atomic pid_t user_tid, io_tid;
    const char *_Atomic user_function;
    struct queue queue;
};

/* Begin and end a function on a handle; io: one that must always come from the same thread. */
void handle_enter(struct vix_handle *handle, const char *function, bool io);
void handle_leave(struct vix_handle *handle);
unsigned handle_count(void);
/* At Exit: forget the closed ones. */
void handles_free(void);

/* ---- queue.c ---- */

void queue_init(struct vix_handle *handle);
void queue_add(struct vix_handle *handle, struct request *request);
void queue_wait(struct vix_handle *handle);
unsigned queue_pending(struct vix_handle *handle);
void queue_end(struct vix_handle *handle);

/* ---- io.c ---- */

/* Do what the request wants, call its completion, free it. */
void request_finish(struct request *request, unsigned lane);

#endif
