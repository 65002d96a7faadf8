/* What a migration remembers between runs: without a daemon, state.json in its working folder,
 * written whole and durably each time; with one, what the daemon keeps for it, which is told of
 * every change and answers when it is safe (engine/watch.h, docs/protocol.md).
 *
 *  "copy":       what the copied bytes come from (engine/identity); another one is a conflict
 *  "content":    of a source that says so (engine/source.h), what stands for its bytes; "": nothing
 *                does, so only whole copies are worth anything
 *  "source":     the journal of what was made at the source
 *  "conversion": what was asked of the conversion, once it was made or left out for good
 *  "facts":      what was seen inside the guest
 *  "id":         the migration's, by which a machine at the destination is known as ours
 * and the marks below. A warm migration (engine/round.h, live.h, cutover.h) has some more.
 */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include <stdbool.h>

#include "base/err.h"
#include "engine/watch.h"
#include "engine/workdir.h"
#include "wire/json.h"

#define STATE_SOURCE "source"         /* key: the journal of what was made at the source */
#define STATE_CONVERSION "conversion" /* key: what was asked of the conversion */

/* Marks are set and, but for a cutover that is taken back, stay. */
#define STATE_VERIFIED "verified"     /* the manifest matched */
#define STATE_COPIED "copied"         /* all disks; the source is not needed any more */
#define STATE_UNSEEN "not_inspected"  /* nobody could look into the guest, nor has to */
#define STATE_NO_VIRTIO "no_virtio"   /* the guest got no virtio drivers */
#define STATE_COMMITTING "committing" /* the overlays hold a conversion that succeeded */
#define STATE_CONVERTED "converted"   /* and the images hold it now */
#define STATE_PLACING "placing"       /* files move to their final names */
#define STATE_ARRIVED "arrived"       /* and are there; the machine is known where it arrives */
#define STATE_STARTING "starting"     /* it is started there, or about to be */

struct state {
    json_t *json;                     /* NULL: not loaded */
    char *path;                       /* of state.json; NULL with a daemon */
    const struct engine_watch *watch; /* with a daemon, or NULL */
};

/* Read it; a folder without one gives an empty one. ERR_CONFLICT for a file that is damaged or of
 * another version. */
int state_load(const struct workdir *work, struct state *ret_state, struct err *err);

/* The same with a daemon, from what it has kept (NULL: nothing yet). watch must outlive it. */
int state_take(const json_t *kept, const struct engine_watch *watch, struct state *ret_state,
               struct err *err);

bool state_is(const struct state *state, const char *mark);
int state_mark(struct state *state, const char *mark, struct err *err);

/* Put a value (takes over the reference; NULL is ERR_BUG) and write. */
int state_put(struct state *state, const char *key, json_t *value, struct err *err);

/* Take a value away and write; one that is not there is fine. */
int state_drop(struct state *state, const char *key, struct err *err);

/* Forget all but what was done outside, before the first thing is put. */
int state_clear(struct state *state, struct err *err);

/* Several changes at once, all remembered or none: an array of ops, which is taken over (NULL is
 * ERR_BUG). when and act say what they are about: ENGINE_BEGIN before anything outside is touched.
 * Without a daemon only the "put"s matter. */
int state_apply(struct state *state, enum engine_when when, const char *act, json_t *ops,
                struct err *err);

/* One op each, for state_apply. op_put: takes over value; NULL takes the key away. op_object: what
 * of ours is outside: kind "snapshot", "cbt", "power-off", "power-on", "domain" or "start";
 * state "planned", "made" or "gone"; detail may be NULL and is taken over. */
json_t *op_put(const char *key, json_t *value);
/* The wishes to finalize, and the answer about the shutdown, are done with. */
json_t *op_clear_wishes(void);
json_t *op_object(const char *kind, const char *name, const char *state, json_t *detail);

void state_free(struct state *state);

#endif
