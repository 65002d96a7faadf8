/* One migration as it was asked for: the start message of a worker, read and checked.
 *
 * {"action": "migrate" | "describe",
 *  "input": {"kind": "ova" | "disk" | "libvirtxml", "paths": [...], "format": FMT | null},
 *  "output": {"kind": "local" | "null", "dir": DIR | null, "name": NAME | null,
 *             "disk_format": "raw" | "qcow2", "preallocated": bool},
 *  "convert": {"wanted": bool, "root": ..., "block_driver": ..., "memsize_mib": N,
 *              "no_fstrim": bool, "trace": bool},
 *  "nics": {"macs": [...], "networks": [...], "bridges": [...]},    as the options of virt-v2v
 *  "keys": [...], "limit_bytes_s": N, "verify": bool, "discard": bool}
 */
#ifndef ENGINE_JOB_H
#define ENGINE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "platform/platform.h"
#include "wire/json.h"

enum job_input { JOB_INPUT_OVA, JOB_INPUT_DISK, JOB_INPUT_LIBVIRTXML };

#define JOB_MAX_STRINGS 256

/* Strings are borrowed from the message, the lists (NULL-terminated) are owned. */
struct job {
    bool describe; /* read the description of the source and say it, nothing else */

    enum job_input input;
    const char **paths;
    size_t n_paths;
    const char *input_format; /* NULL: look at the headers */

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

#endif
