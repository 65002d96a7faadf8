/* What the parts of the double share: the state of the library in this process, its log, the watch
 * over its rules, and its settings.
 *
 * Everything here is for lab/vddk alone. A broken rule ends the process by `violation`: the real
 * library would crash, hang or corrupt, at once or in a month, and a test shall see which rule it
 * was.
 */
#ifndef LAB_VDDK_LIBRARY_H
#define LAB_VDDK_LIBRARY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vixdisklib.h"

#define MIB (1024 * 1024ULL)
#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

#define EXPORT __attribute__((visibility("default")))

/* Which library this is: set by each variant (variant.c). */
extern const struct variant {
    unsigned major, minor;
    bool has_async, has_wait, has_allocate;
} variant;

/* ---- watch.c: the rules ---- */

/* Print one line, "lab/vddk: VIOLATION: ...", on stderr and end the process by SIGABRT. */
_Noreturn void violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Print one line, "lab/vddk: ...", on stderr. */
void report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Begin an exported function: the library is initialised, this is not a forked child, and the
 * caller does not stand in a completion callback. */
void watch_call(const char *function);
/* The same for the functions that the whole process must do one after another (ConnectEx, Open,
 * Close, Disconnect and their kin): ends with watch_control_end. */
void watch_control(const char *function);
void watch_control_end(void);
/* InitEx is at work and has succeeded; Exit. */
void watch_init(void);
void watch_init_done(void);
void watch_exit(void);
/* Around the caller's completion function. */
void watch_callback(bool inside);

/* What the caller must give back. */
enum watch_kind { WATCH_PARAMS, WATCH_INFO, WATCH_ERROR_TEXT, WATCH_BLOCK_LIST, WATCH_KINDS };
void watch_given(enum watch_kind kind, void *p);
bool watch_is_given(enum watch_kind kind, const void *p);
/* violation if it was not given, or was given back before. */
void watch_back(enum watch_kind kind, void *p, const char *function);

/* ---- log.c ---- */
enum log_channel { LOG_INFO, LOG_WARN, LOG_PANIC };
void log_set(vix_log_fn *log, vix_log_fn *warn, vix_log_fn *panic);
/* To the caller's functions, a newline at the end as the real one does; nothing before InitEx. */
void log_line(enum log_channel channel, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The harmless lines that versions 7 and 8 log as errors. */
void log_noise(void);
const char *error_text(uint64_t error);

/* ---- clock and line (pace.c) ---- */
uint64_t now_ns(void);
void wait_until_ns(uint64_t when);

/* The link and the NFC server of one host. Every process that reads from that host maps the same
 * file, so that they share its bandwidth and its memory. */
struct host_line {
    _Atomic uint64_t free_at_ns;
    uint64_t bandwidth; /* bytes a second, 0: no limit */
    uint64_t latency_ns;
    uint64_t memory_bytes; /* of the NFC server, 0: no limit */
    uint64_t reserved[4];
    _Atomic uint64_t used_bytes[504]; /* by slot; a slot is one open disk */
};
#define HOST_LINE_BYTES 4096
_Static_assert(sizeof(struct host_line) == HOST_LINE_BYTES, "one page");
#define HOST_LINE_SLOTS 504

/* The moment at which len bytes that are asked for now have arrived. */
uint64_t line_due_ns(struct host_line *line, uint64_t len);
/* Take memory of the NFC server; false: it has no more. */
bool line_take(struct host_line *line, unsigned slot, uint64_t len);
void line_give(struct host_line *line, unsigned slot, uint64_t len);

/* ---- settings.c ---- */
enum completion { COMPLETION_AUTO, COMPLETION_THREAD, COMPLETION_INSIDE, COMPLETION_MIXED };

enum fault_op { FAULT_READ, FAULT_OPEN, FAULT_CONNECT };
enum fault_action { FAULT_FAIL, FAULT_CRASH, FAULT_ABORT, FAULT_HANG, FAULT_LOST, FAULT_ZERO };

struct fault {
    enum fault_op op;
    enum fault_action action;
    uint64_t nth, count; /* the first one that is hit, counted from 1 (0: each), and how many */
    uint64_t value;      /* VixError, or milliseconds */
    char *marker;        /* hit only if this file can be created: once over several processes */
};
#define FAULTS_MAX 64

struct settings {
    uint64_t latency_ns, jitter_ns, open_ns, query_ns;
    uint64_t bandwidth;
    enum completion completion;
    unsigned threads;
    uint64_t init_error, info_error, query_error;
    bool query_all, fail_at_call, null_thumbprint, need_plugin, allow_fork, any_thread, leak_abort;
    bool drop_nbdssl;
    unsigned noise;
    int64_t capacity; /* sectors, -1: the disk's own */
    uint64_t max_request_bytes, nfc_memory_bytes, nfc_memory_error;
    char *transports, *local_transport, *datastores;
    char *user, *password, *cookie, *thumbprint;
    unsigned aio_size_64k, aio_count;
    struct fault faults[FAULTS_MAX];
    unsigned n_faults;
};
extern struct settings settings;

/* Read the file of InitEx (may be NULL) and the one that LAB_VDDK_CONFIG names (may be absent). An
 * unknown lab.* key is a violation: a test with a typing error shall not pass. */
uint64_t settings_read(const char *config_file);
void settings_free(void);
/* The fault that the number-th op of this process meets, or NULL. */
const struct fault *fault_hit(enum fault_op op, uint64_t number);
/* The fault that comes before anything else is done: crash, abort, hang. */
void fault_act(const struct fault *fault);

#endif
