/* What `vmferry check` knows while it runs. For check-run.c and check-hosts.c. */
#ifndef ENGINE_CHECK_SITE_H
#define ENGINE_CHECK_SITE_H

#include "engine/check-around.h"
#include "engine/talk.h"
#include "vmware/machine.h"
#include "vmware/session.h"

struct check_place;
struct spec;

enum check_wish { CHECK_WISH_ANY, CHECK_WISH_COLD, CHECK_WISH_WARM };

#define CHECK_HOST_CODES 8
#define CHECK_MAX_REASONS 16

/* What stops, and by which codes. */
struct check_stop {
    bool ways[CHECK_WAYS];
    size_t n_codes;
    const char *codes[CHECK_MAX_REASONS]; /* each once; the 17th and later are left out */
};

struct check_host_entry {
    char *moref, *name, *version;
    uint64_t build;
    bool connected, maintenance;
    bool reached; /* it was tried: what went wrong with its name and its ports */
    struct err name_error, nfc_error, https_error, ssh_error;
    size_t n_said; /* findings about it that were said already */
    const char *said[CHECK_HOST_CODES];
};

struct check_site {
    const struct talk *talk;
    struct vmware_session *session;
    struct check_context context;
    enum check_wish wish;
    const char *server; /* its name, as the user gave it */
    unsigned nfc_port;

    size_t n_hosts;
    struct check_host_entry *hosts;

    struct check_place *place; /* where machines are to arrive; NULL: no matter */

    /* Of the machine that is looked at; NULL: all. */
    const struct vmware_machine *machine;
    const struct spec *spec; /* NULL: none was given */
    struct check_stop stop;
    int errors, warnings;

    struct check_stop all; /* by what concerns all machines */
    int n_machines, n_blocked, n_errors, n_warnings;
    uint64_t capacity_bytes, used_bytes;
};

/* A check_fn: says the finding and counts it for the machine, or for all. arg is the site. */
void check_site_found(const struct check_finding *finding, void *arg);

/* Says it, of the machine or (NULL) of none, unless it does not matter for what is wanted, and
 * counts it in the sums. Returns the level that it has for what is wanted. */
enum check_level check_site_say(struct check_site *site, const struct vmware_machine *machine,
                                const struct check_finding *finding);

/* Counts the errors among a finding's levels. */
void check_stop_by(struct check_stop *stop, const struct check_finding *finding);

/* Ask for the hosts of the server. */
int check_hosts_load(struct check_site *site, struct err *err);
void check_hosts_free(struct check_site *site);

/* Judge the host of the site's machine; what is wrong with it is said once and stops each machine
 * on it. */
void check_hosts_judge(struct check_site *site);

#endif
