/* One copy, as the start message asks for it: names, resuming, and what is left behind. */
#ifndef COPIER_JOB_H
#define COPIER_JOB_H

#include "copier/need.h"
#include "copier/program.h"
#include "disk/copy.h"
#include "wire/json.h"

/* The end of a name while the image is not complete, and of the map beside it. */
#define JOB_PART_SUFFIX ".part"
#define JOB_MAP_SUFFIX ".map"

enum job_stage { JOB_STAGE_COPY, JOB_STAGE_VERIFY };

/* Shared with the thread that talks to the parent. */
struct job {
    json_t *start; /* docs/protocol.md, "start" of a copy; its secrets are wiped on the way */
    const struct source_kind *kind; /* that start asks for; set by job_prepare */
    struct need need;
    struct copy_progress progress;
    struct rate rate;
    _Atomic enum job_stage stage;
};

/* On the main thread, while it is alone: what the kind of source must do then. job_finish: at the
 * end, alone again; also after a failure. */
int job_prepare(struct job *job, struct err *err);
void job_finish(struct job *job);

/* Run it to the end. *ret_detail (owned by the caller): what the result message says of it.
 *
 * A file appears under its final name only when it is complete. After a failure that a second try
 * may cure (io, unavailable, cancelled; denied, for a session may end meanwhile) the part and its
 * map stay, and the text says so; after others nothing of this copy stays. */
int job_run(struct job *job, json_t **ret_detail, struct err *err);

#endif
