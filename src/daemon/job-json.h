/* What a worker is told: made from a spec when a migration is created and kept in the store without
 * a secret; put together with the secrets of the config when a worker is started. */
#ifndef DAEMON_JOB_JSON_H
#define DAEMON_JOB_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "model/config.h"
#include "model/spec.h"
#include "wire/json.h"

struct entry;

/* The job of a merged spec, JSON; the caller frees it. ERR_INVALID: a target that this version
 * does not have. */
int job_json_make(const struct spec *spec, const struct config *config, char **ret_job,
                  struct err *err);

/* The start message for the next worker of a migration, secrets included, and the bandwidth that
 * it names. */
int job_json_start(struct entry *entry, json_t **ret_start, uint64_t *ret_limit_bytes_s,
                   struct err *err);

/* What its worker is asked for when it starts. NULL: no memory. */
json_t *job_json_wishes(const struct entry *entry);

/* Will its guest be converted? job may be NULL: yes. */
bool job_json_converts(const char *job);

/* Its bandwidth. */
uint64_t job_json_bandwidth(const char *job);

/* ERR_CONFLICT: what the new job says of source or destination is not what the old one said. */
int job_json_same_machine(const char *old_job, const char *new_job, struct err *err);

/* The lower of two limits, of which 0 is none. */
uint64_t job_json_limit(uint64_t a, uint64_t b);

#endif
