/* One conversation with libvirt.
 *
 * libvirt's calls know no deadline, and a daemon that is stopped or stuck holds whoever asks it for
 * ever. So a conversation is held by a thread of its own; one that takes too long is left to
 * itself, together with all that it uses. That is why the request is a copy, and is shared.
 */
#ifndef PLATFORM_LIBVIRT_CALL_H
#define PLATFORM_LIBVIRT_CALL_H

#include <libvirt/libvirt.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "platform/libvirt.h"
#include "platform/platform.h"

struct libvirt_call;

/* What the conversation is about, and what came of it. All owned; what is not said is NULL. */
struct libvirt_request {
    struct libvirt_call *call; /* that it is of */
    char *uri;                 /* never NULL */
    char *pool, *dir;
    char *name, *uuid, *id;
    char *xml;
    size_t n_networks;
    char *networks[VM_MAX_NICS];

    /* Results, to be looked at when the call has succeeded. */
    char *found_dir;
    bool kvm;
    struct platform_look look;
    struct libvirt_survey survey;
};

/* A copy of what placement says (NULL: nothing but uri). ERR_INVALID: the URI is none of ours. */
int libvirt_call_new(const char *uri, const struct placement *placement,
                     struct libvirt_call **ret_call, struct err *err);
struct libvirt_request *libvirt_call_request(struct libvirt_call *call);

/* What is said, from the conversation's own thread. */
typedef int libvirt_talk_fn(virConnectPtr conn, struct libvirt_request *request, struct err *err);

/* Connect, talk, hang up. Once for each call. ERR_UNAVAILABLE when there is no answer within
 * limit_ns: then the request may be used no more, only freed. */
int libvirt_call_run(struct libvirt_call *call, int64_t limit_ns, libvirt_talk_fn *talk,
                     struct err *err);

/* Before an act on the outside world: does anyone still wait for it? ERR_CANCELLED when not. */
int libvirt_call_wanted(const struct libvirt_request *request, struct err *err);

void libvirt_call_free(struct libvirt_call *call);

static inline void
libvirt_call_cleanup(struct libvirt_call **call)
{
    libvirt_call_free(*call);
}
#define auto_libvirt_call AUTO(libvirt_call_cleanup)

/* Set err from what libvirt said last in this thread; fmt is what was tried. */
int libvirt_error(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Like libvirt_error; true when libvirt's last word is this code (VIR_ERR_...). */
bool libvirt_error_is(int code);

/* "a, b, c" of the names, for a text that offers them; "none". */
#define LIBVIRT_NAMES_MAX 256
const char *libvirt_names(const char *const *names, size_t n, char text[LIBVIRT_NAMES_MAX]);

#endif
