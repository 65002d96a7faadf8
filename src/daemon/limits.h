/* What may be used at once, over all migrations. Changed by the API, and then kept in the store;
 * the config has the values before that. */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

#include <stdint.h>

#include "base/err.h"
#include "wire/json.h"

struct daemon;

struct limits {
    int64_t disks_per_esxi;     /* 1 .. LIMITS_DISKS_MAX */
    int64_t parallel_vms;       /* 1 .. LIMITS_VMS_MAX */
    uint64_t bandwidth_bytes_s; /* of all disks together; 0: no limit */
};

#define LIMITS_DISKS_MAX 1024
#define LIMITS_VMS_MAX 1024
#define LIMITS_BANDWIDTH_MAX (INT64_C(1) << 50)

/* Of the config and over it of the store, into the daemon. */
int limits_load(struct daemon *daemon, struct err *err);

/* Store them, then put them into force. */
int limits_store(struct daemon *daemon, const struct limits *limits, struct err *err);

/* What an object has goes into *limits; body NULL: nothing. ERR_INVALID names the key; *limits is
 * to be thrown away then. */
int limits_read(const json_t *body, struct limits *limits, struct err *err);

json_t *limits_json(const struct limits *limits);

#endif
