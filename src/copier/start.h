/* What the start message says of the source, as the room disk/ takes it. */
#ifndef COPIER_START_H
#define COPIER_START_H

#include "copier/job.h"

/* The strings are those of the message. */
void start_source_spec(struct job *job, struct source_spec *ret);

/* When the source is open: it has its own copies of the secrets that it still needs. */
void start_wipe_secrets(json_t *start);

#endif
