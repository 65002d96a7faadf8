/* Properties of the server's objects. For this folder only. */
#ifndef VMWARE_PROPERTY_H
#define VMWARE_PROPERTY_H

#include "vmware/call.h"

#define PROPERTY_PATHS_MAX 96
#define PROPERTY_SETS_MAX 8
#define PROPERTY_PAGE 100 /* objects asked for at once */

/* One object of an answer: <objects><obj/><propSet/>...</objects>, or the same fields elsewhere.
 * Borrowed. */
struct object {
    const struct xml_node *node;
    char type[48];
    char moref[VMWARE_MOREF_MAX];
};

/* false: it names no object. */
bool object_of(const struct xml_node *node, struct object *ret);

/* The value at a path: that property itself, or, where a property above it was given
 * ("config.hardware" for "config.hardware.device"), what lies in that. NULL: not set. */
const struct xml_node *object_get(const struct object *object, const char *path);
const char *object_text(const struct object *object, const char *path); /* NULL: not set */
bool object_bool(const struct object *object, const char *path);        /* not set: false */
uint64_t object_u64(const struct object *object, const char *path);     /* none: 0 */

/* Values of elements. A bad number is 0, false is what is not "true" or "1". */
bool text_bool(const char *text);
uint64_t text_u64(const char *text);
int64_t text_i64(const char *text);
/* The plain type attribute of a reference, "" when there is none. */
const char *ref_type(const struct xml_node *ref);

/* What to read of objects of one type. A path that the server's version does not have is left out
 * when it says so. */
struct property_set {
    const char *type;
    const char *const *paths; /* NULL-terminated */
};

struct ref {
    const char *type, *moref;
};

/* One object. reply holds what object points into. ERR_NOT_FOUND: gone. */
int property_read(struct vmware_session *session, const char *type, const char *moref,
                  const char *const *paths, const char *what, struct soap_reply *reply,
                  struct object *ret, struct err *err);

typedef int object_fn(const struct object *object, void *arg, struct err *err);

/* Objects by name, each given to `each` as it arrives. A missing one is ERR_NOT_FOUND for all. */
int property_read_list(struct vmware_session *session, const struct ref *refs, size_t n_refs,
                       const struct property_set *sets, size_t n_sets, const char *what,
                       object_fn *each, void *arg, struct err *err);

/* All objects of these types below container (NULL: the root folder), in pages. When the session is
 * lost in the middle it begins anew; `each` sees no object twice. */
int property_read_all(struct vmware_session *session, const char *container_type,
                      const char *container, const struct property_set *sets, size_t n_sets,
                      const char *what, object_fn *each, void *arg, struct err *err);

/* ---- waiting ---- */

struct watch_spec {
    const char *type, *moref;
    const char *const *paths;
    const char *what;
    int64_t deadline_ns; /* < 0: none */
    /* 1: it is as awaited; 0: wait on; below 0: failed, err is set. */
    int (*look)(const struct object *object, void *arg, struct err *err);
    void *arg;
};

/* Read the object and look, again whenever the server says that something changed
 * (WaitForUpdatesEx, or once a second where that does not work). ERR_UNAVAILABLE when the deadline
 * passes. */
int property_watch(struct vmware_session *session, const struct watch_spec *spec, struct err *err);

#endif
