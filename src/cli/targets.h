/* The migrations that a command names, found at the vmferryd that has them. */
#ifndef CLI_TARGETS_H
#define CLI_TARGETS_H

#include "cli/daemon-client.h"
#include "cli/selection.h"

struct targets {
    struct output *out;
    struct config config;
    struct selection selection;
    struct daemon_spec spec;
    struct daemon daemon;
    json_t *list;
    struct selected *rows;
    size_t n;
};
#define TARGETS_INIT ((struct targets){ .daemon = DAEMON_INIT })

/* Read config, specs and words. *ret must be TARGETS_INIT before; the caller frees it, and must not
 * move it. */
int targets_read(const struct site_args *site, const struct selection_args *args,
                 char *const *words, struct output *out, struct targets *ret, struct err *err);

/* Find the daemon, or start a private one in that mode ("look", "run"; it must live on). What was
 * opened and found before is then gone. */
int targets_open(struct targets *targets, const char *mode, struct err *err);

/* Open, then find the migrations. ended: those that have ended count, too, when all are meant. To
 * look where there is no store yet, nothing is started, because that would make one. */
int targets_find(struct targets *targets, const char *mode, bool ended, struct err *err);

void targets_free(struct targets *targets);
#define auto_targets AUTO(targets_free)

/* "/migrations/ID" with what comes behind it ("", "/events?after=3"), into a fresh string. */
int targets_path(const char *id, const char *rest, char **ret, struct err *err);

#endif
