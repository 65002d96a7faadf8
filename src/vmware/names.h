/* Names and places of the server's objects: who is called what and lies in which folder. For this
 * folder only. */
#ifndef VMWARE_NAMES_H
#define VMWARE_NAMES_H

#include "vmware/property.h"

#define NAMES_MAX 500000
#define NAMES_PATH_MAX 4096

struct entity {
    const char *moref, *type;
    const char *name;                 /* as the API has it */
    const char *parent, *parent_type; /* a reference; "" none */
    const char *key;                  /* of a distributed port group; "" else */
    /* of a datastore */
    const char *datastore_type;
    uint64_t free_bytes, capacity_bytes;
    bool accessible;
};

struct names;
int names_new(struct vmware_session *session, struct names **ret, struct err *err);
void names_free(struct names *names);
static inline void
names_cleanup(struct names **names)
{
    names_free(*names);
}
#define auto_names AUTO(names_cleanup)

/* All folders, datacenters, vApps and hosts; with_storage: datastores and networks too. */
int names_load(struct names *names, bool with_storage, struct err *err);

/* Those objects, and everything above them. Ones that are gone or out of sight are left out. */
int names_load_refs(struct names *names, const struct ref *refs, size_t n_refs, struct err *err);

/* One object as the server gave it (tests, and what was read anyway). */
int names_add(struct names *names, const struct object *object, struct err *err);

const struct entity *names_find(const struct names *names, const char *moref); /* or NULL */
const struct entity *names_find_key(const struct names *names, const char *key);
/* The n-th of them, NULL behind the last. */
const struct entity *names_at(const struct names *names, size_t n);

/* "/DC0/vm/prod" for a folder: the names above it and its own, as far up as they may be seen,
 * without the root folder's. Returns path. */
const char *names_path(const struct names *names, const char *moref, char path[NAMES_PATH_MAX]);

/* The datacenter that a person means by "DC0", "/Folder/DC0" or "/Folder/DC0/cluster/host": by its
 * whole path, else by its name where that is the only one. ERR_NOT_FOUND and ERR_CONFLICT list what
 * there is. */
int names_choose_datacenter(const struct names *names, const char *given, const struct entity **ret,
                            struct err *err);

/* The datacenter that it lies in, or NULL. */
const struct entity *names_datacenter(const struct names *names, const char *moref);

#endif
