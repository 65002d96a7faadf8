/* One migration as it was asked for: the start message of a worker, read and checked.
 *
 * {"action": "migrate" | "describe",
 *  "input": {"kind": "ova" | "disk" | "libvirtxml", "paths": [...], "format": FMT | null}
 *         | {"kind": "xen-ssh", "vm": NAME, and the keys of "ssh" below}
 *         | {"kind": "vsphere", "vm": QUERY, "endpoint": {...} (engine/endpoint.h),
 *            "transport": "auto" | "vddk" | "https" | "export" | "ssh", "snapshot": bool,
 *            "vddk": {"libdir": DIR | null, "config": FILE | null, "transports": LIST | null},
 *            "nfc_port": 902,
 *            "ssh": {"host": NAME | null, "port": N, "user": NAME | null, "password": SECRET |
 * null, "identity": FILE | null, "known_hosts": FILE | null, "accept_new": bool}}, "output":
 * {"kind": "local" | "null" | "libvirt", "dir": DIR | null, "name": NAME | null, "disk_format":
 * "raw" | "qcow2", "preallocated": bool, and of "libvirt": "uri": URI | null, "pool": POOL | null
 * (instead of "dir"), "networks": {"VM Network": "default"}}, "convert": {"wanted": bool, "root":
 * ..., "block_driver": ..., "memsize_mib": N, "no_fstrim": bool, "trace": bool, "virtio_win":
 * PATH | null}, "nics": {"macs": [...], "networks": [...], "bridges": [...]},    as the options of
 * virt-v2v "keys": [...], "limit_bytes_s": N, "verify": WORD, "discard": bool, "id": ID | null}
 */
#ifndef ENGINE_JOB_H
#define ENGINE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "platform/platform.h"
#include "wire/json.h"
#include "wire/nbdkit.h"

enum job_input {
    JOB_INPUT_OVA,
    JOB_INPUT_DISK,
    JOB_INPUT_LIBVIRTXML,
    JOB_INPUT_XEN_SSH,
    JOB_INPUT_VSPHERE,
};

/* How the disks of a machine from vSphere are read. */
enum job_transport {
    JOB_TRANSPORT_AUTO,
    JOB_TRANSPORT_VDDK,
    JOB_TRANSPORT_HTTPS,
    JOB_TRANSPORT_EXPORT,
    JOB_TRANSPORT_SSH,
};

/* Of JOB_INPUT_VSPHERE. */
struct job_vsphere {
    const json_t *endpoint; /* for endpoint_login */
    enum job_transport transport;
    bool snapshot;  /* read from a snapshot of ours, removed afterwards */
    bool no_verify; /* the caller would not look at certificates; it is pinned at first use */
    const char *libdir, *config, *transports; /* vddk; NULL: not given */
    unsigned nfc_port;
};

/* What follows, and the transports, are in the order of the words of model/spec-fields.h. */

/* How the source is switched off when it is time. */
enum job_shutdown {
    JOB_SHUTDOWN_AUTO,   /* by VMware Tools, then by the plug; without Tools somebody is asked */
    JOB_SHUTDOWN_FORCE,  /* pull the plug */
    JOB_SHUTDOWN_MANUAL, /* somebody does it */
};

enum job_quiesce { JOB_QUIESCE_AUTO, JOB_QUIESCE_MUST, JOB_QUIESCE_NO };

/* What is read back and compared after it was written. */
enum job_verify {
    JOB_VERIFY_NONE,
    JOB_VERIFY_CHANGED, /* what each round after the base copy wrote; of a cold one nothing */
    JOB_VERIFY_SAMPLE,  /* at the end, a part of the whole image */
    JOB_VERIFY_FULL,    /* at the end, all of it */
};

/* Of a warm migration ("warm" of the start message, docs/protocol.md). */
struct job_warm {
    bool wanted;
    int64_t interval_s;          /* between two rounds */
    int64_t finalize_at;         /* unix time; 0: when somebody says so */
    int64_t finalize_interval_s; /* between rounds within ... */
    int64_t finalize_window_s;   /* ... this time before finalize_at */
    int64_t settle_s;            /* off for so long before the last round; -1: by the guest */
    enum job_shutdown shutdown;
    enum job_quiesce quiesce;
    bool power_on_after_failure; /* the source, when a cutover failed */
    /* By themselves: after so many rounds, when the downtime would be as short as that; 0: not. */
    int64_t max_rounds, max_downtime_s;
};

#define JOB_MAX_STRINGS 256

/* Strings are borrowed from the message, the lists (NULL-terminated) are owned. */
struct job {
    bool describe; /* read the description of the source and say it, nothing else */

    enum job_input input;
    const char **paths;
    size_t n_paths;
    const char *input_format; /* NULL: look at the headers */
    const char *vm;           /* which machine, of inputs that have several */
    struct job_vsphere vsphere;
    struct ssh_host ssh;
    bool ssh_accept_new; /* a host that SSH does not know yet is remembered, and so known */

    const char *id; /* of the migration; NULL: the engine gives it one */

    const struct platform *platform;
    const char *dir;           /* NULL when the platform keeps nothing, or finds it by the pool */
    const char *uri;           /* of libvirt; NULL: the usual one */
    const char *pool;          /* of libvirt; NULL: dir was given */
    const json_t *network_map; /* of the source's networks, by name, to those of the platform */
    const char *name;          /* NULL: the source's */
    const char *disk_format;
    bool preallocated;
    bool start; /* the machine, when it has arrived */

    bool convert;
    const char *root, *block_driver;
    unsigned memsize_mib;
    bool no_fstrim, trace;
    const char *virtio_win; /* drivers for Windows; NULL: $VIRTIO_WIN, or where they usually lie */

    const char **macs, **networks, **bridges;
    const char **keys;

    uint64_t limit_bytes_s;
    enum job_verify verify;
    bool discard; /* what an interrupted run left is dropped */

    struct job_warm warm;
    unsigned parallel_disks; /* copied at once; 1 to SPEC_MAX_PARALLEL_DISKS */

    /* With a daemon. */
    bool journal;            /* somebody remembers for us (engine/watch.h) */
    const json_t *state;     /* what was remembered; NULL: nothing yet */
    unsigned attempt;        /* failures in a row before this one */
    int64_t convert_seconds; /* what conversions took before; 0: nobody knows */
};

/* The message must outlive the job. ERR_INVALID names the key. Free with job_free in any case. */
int job_parse(const json_t *start, struct job *ret_job, struct err *err);
void job_free(struct job *job);
#define auto_job AUTO(job_free)

/* Of job-warm.c: "warm" and what comes with it. */
int job_parse_warm(const json_t *start, struct job *job, struct err *err);

/* The place of a word in a list that ends with NULL. false: it is not there. */
bool job_find_word(const char *word, const char *const *words, unsigned *ret);

const char *job_input_name(enum job_input input);
const char *job_transport_name(enum job_transport transport);

/* What is moved, for texts: a path, or a machine's name. */
const char *job_source_text(const struct job *job);

#endif
