/* A migration as the API shows it ("M" of docs/protocol.md): what the store has, and over it what
 * is known only here. No secret, no spec, no state. */
#ifndef DAEMON_VIEW_H
#define DAEMON_VIEW_H

#include "store/store.h"
#include "wire/json.h"

struct daemon;

/* NULL: no memory. */
json_t *view_migration(const struct daemon *daemon, const struct store_migration *migration);

/* The same of one that is in the store under this id. */
int view_of_id(struct daemon *daemon, const char *id, json_t **ret, struct err *err);

/* Its disks, rounds (a list now, where M has their number) and objects, as keys of an object. */
int view_add_details(struct daemon *daemon, const char *id, json_t *view, struct err *err);

#endif
