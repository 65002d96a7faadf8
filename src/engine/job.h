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
 * {"kind": "local" | "null", "dir": DIR | null, "name": NAME | null, "disk_format": "raw" |
 * "qcow2", "preallocated": bool}, "convert": {"wanted": bool, "root": ..., "block_driver": ...,
 * "memsize_mib": N, "no_fstrim": bool, "trace": bool}, "nics": {"macs": [...], "networks": [...],
 * "bridges": [...]},    as the options of virt-v2v "keys": [...], "limit_bytes_s": N, "verify":
 * bool, "discard": bool}
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

    const struct platform *platform;
    const char *dir;  /* NULL when the platform keeps nothing */
    const char *name; /* NULL: the source's */
    const char *disk_format;
    bool preallocated;

    bool convert;
    const char *root, *block_driver;
    unsigned memsize_mib;
    bool no_fstrim, trace;

    const char **macs, **networks, **bridges;
    const char **keys;

    uint64_t limit_bytes_s;
    bool verify;
    bool discard; /* what an interrupted run left is dropped */
};

/* The message must outlive the job. ERR_INVALID names the key. Free with job_free in any case. */
int job_parse(const json_t *start, struct job *ret_job, struct err *err);
void job_free(struct job *job);
#define auto_job AUTO(job_free)

const char *job_input_name(enum job_input input);
const char *job_transport_name(enum job_transport transport);

/* What is moved, for texts: a path, or a machine's name. */
const char *job_source_text(const struct job *job);

#endif
