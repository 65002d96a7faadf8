/* Where a machine arrives. Each kind of destination is one table of operations. */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "model/vm.h"

struct placement_disk {
    const char *made;  /* the finished image, on the destination's file system */
    const char *final; /* where it belongs */
};

/* Of a destination that a machine is defined in. */
struct placement_host {
    const char *uri;  /* of libvirt; NULL: the usual one (platform/libvirt-uri.h) */
    const char *pool; /* a storage pool's name; NULL: dir was said instead */
    size_t n_networks;
    const char *networks[VM_MAX_NICS]; /* what its NICs are plugged into, bridges left out; a name
                                          may come several times */
};

/* What is to be placed. Paths are absolute. Strings are borrowed for the call. */
struct placement {
    const char *dir;  /* of -os, or of the pool; the working directory of a destination that keeps
                         nothing; NULL for find_dir alone */
    const char *name; /* of the machine */
    const char *uuid; /* of the machine, as its description has it; NULL: none */
    const char *id;   /* of the migration, by which what it made is known as ours; NULL: there is
                         none, so that nothing can be ours */
    mode_t file_mode; /* of the files that appear: 0666 without the caller's umask */
    size_t n_disks;
    struct placement_disk disks[VM_MAX_DISKS];
    const char *made_xml; /* the machine's description, finished */
    const char *final_xml;
    struct placement_host host;
};

/* What there is under the machine's name, or with its UUID. */
struct platform_look {
    bool there;
    bool ours;    /* it was made by this migration */
    bool running; /* or paused */
    bool started; /* ours, and start started it at some time */
};

/* NULL: the destination has nothing of that kind. */
struct platform {
    const char *name; /* as -o says it */
    bool keeps;       /* false: nothing remains */

    /* Namespace of the element <migration id="..."/> that define wants in the metadata of made_xml.
     */
    const char *mark_ns;

    /* The directory of the pool, into a fresh string. ERR_NOT_FOUND: no such pool; ERR_CONFLICT: it
     * is not active; ERR_INVALID: it holds no files. */
    int (*find_dir)(const struct placement *placement, char **ret_dir, struct err *err);

    /* Before anything is started: can anything be put there at all? Looks at dir only. */
    int (*check_dir)(const struct placement *placement, struct err *err);

    /* Is there something already under the final names? */
    int (*check_names)(const struct placement *placement, struct err *err);

    /* Will define and start find what they need? Is the name free, or is what has it ours?
     * ERR_CONFLICT: it is not; ERR_NOT_FOUND, ERR_CONFLICT: a network is not there or not active.
     */
    int (*check)(const struct placement *placement, struct err *err);

    /* Does the host that the machine will run on offer hardware acceleration? */
    int (*has_kvm)(const struct placement *placement, bool *ret_kvm, struct err *err);

    /* Put every file where it belongs, durably. Called again after a crash in it, it finishes. */
    int (*place)(const struct placement *placement, struct err *err);

    /* What place did, undone: every file has the name again under which it was made, durably. None
     * that was placed is fine, as is a crash in it, or in place: called again, it finishes. */
    int (*take_back)(const struct placement *placement, struct err *err);

    /* Make the machine, off, from made_xml. One that is ours is taken as made, whatever was done to
     * it since; another one of that name or UUID is ERR_CONFLICT, and is left alone. */
    int (*define)(const struct placement *placement, struct err *err);

    /* Start ours. One that runs, or was started by us before, is left as it is: a guest that was
     * shut down since stays down. */
    int (*start)(const struct placement *placement, struct err *err);

    /* Take back what define did, and nothing else: no file of a disk is touched. Nothing there, or
     * nothing of ours, is fine; one of ours that runs is ERR_CONFLICT. */
    int (*undo)(const struct placement *placement, struct err *err);

    int (*look)(const struct placement *placement, struct platform_look *ret, struct err *err);
};

extern const struct platform platform_local, platform_null, platform_libvirt;

/* "local", "null", "libvirt"; NULL: no such destination. */
const struct platform *platform_find(const char *name);

#endif
