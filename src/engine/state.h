/* What a migration remembers between runs: state.json in its working folder, written whole and
 * durably each time.
 *
 *  "copy":       what the copied bytes come from (engine/identity); another one is a conflict
 *  "content":    of a source that says so (engine/source.h), what stands for its bytes; "": nothing
 *                does, so only whole copies are worth anything
 *  "source":     the journal of what was made at the source
 *  "conversion": what was asked of the conversion, once it was made or left out for good
 *  "facts":      what was seen inside the guest
 * and the marks below.
 */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include <stdbool.h>

#include "base/err.h"
#include "engine/workdir.h"
#include "wire/json.h"

/* Marks are set and never taken back. */
#define STATE_VERIFIED "verified"     /* the manifest matched */
#define STATE_COPIED "copied"         /* all disks; the source is not needed any more */
#define STATE_NO_VIRTIO "no_virtio"   /* the guest got no virtio drivers */
#define STATE_COMMITTING "committing" /* the overlays hold a conversion that succeeded */
#define STATE_CONVERTED "converted"   /* and the images hold it now */
#define STATE_PLACING "placing"       /* files move to their final names */

struct state {
    json_t *json; /* NULL: not loaded */
    char *path;
};

/* Read it; a folder without one gives an empty one. ERR_CONFLICT for a file that is damaged or of
 * another version. */
int state_load(const struct workdir *work, struct state *ret_state, struct err *err);

bool state_is(const struct state *state, const char *mark);
int state_mark(struct state *state, const char *mark, struct err *err);

/* Put a value (takes over the reference; NULL is ERR_BUG) and write. */
int state_put(struct state *state, const char *key, json_t *value, struct err *err);

/* Take a value away and write; one that is not there is fine. */
int state_drop(struct state *state, const char *key, struct err *err);

/* Forget all, before the first thing is put. */
int state_clear(struct state *state, struct err *err);

void state_free(struct state *state);

#endif
