/* What is inside a machine's disks, and what of it would stop or hurt a conversion.
 *
 * Two looks. The first reads partition tables and superblocks ourselves (guest/disklabel.h) and
 * ends the matter in a second when nothing there can be converted. The second is one libguestfs
 * appliance, read-only over NBD, in a child process: a hung appliance is killed and a crash hurts
 * nobody. The child is this same program started again with the argument "inspect"; its main must
 * then call inspect_child_main().
 */
#ifndef GUEST_INSPECT_H
#define GUEST_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "guest/accel.h"
#include "model/guest.h"
#include "model/vm.h"

struct inspect_options {
    const char *root;        /* "first" (NULL), "single", "ask" (refused here) or a device */
    const char *const *keys; /* as virt-v2v --key; NULL-terminated, or NULL */
    enum accel accel;        /* what accel_probe said */

    bool firmware_known; /* the firmware that the machine will have, from its description */
    enum vm_firmware firmware;

    const char
        *virtio_win;  /* that the conversion will use; NULL: $VIRTIO_WIN, or the usual places */
    bool no_convert;  /* the guest stays as it is: nothing is an error but what cannot be read */
    bool labels_only; /* only the first look */
    const char *log_path;         /* the appliance's words are appended; NULL: dropped */
    unsigned memsize_mib;         /* of the appliance; 0: 768, with keys 2048 */
    bool (*cancelled)(void *arg); /* asked twice a second; or NULL */
    void (*step)(const char *text, void *arg); /* "starting the appliance" ...; or NULL */
    void *arg;
    int64_t launch_limit_ns; /* for the start of the appliance; 0: 90 s with KVM, 300 s without */
    const char *program;     /* program with the "inspect" role; NULL: /proc/self/exe */
};

/* Look at the images of one machine, in the guest's order; each needs its format. An image without
 * a path (an empty disk) counts as blank; a gzip-ed one cannot be read at random: ERR_INVALID.
 *
 * 0: the look was made; report (initialised by this call, guest_facts_free(&report->facts) after)
 * holds the facts and findings; FINDING_ERROR among them means that the conversion cannot succeed.
 * -1: the look could not be made, err says why: ERR_UNAVAILABLE for an appliance that did not
 * start, ERR_CANCELLED ... With accel KVM an appliance that hangs or dies at its start is tried
 * again with TCG, and KVM forgotten (accel_forget_kvm). */
int inspect_images(const struct vm_image *images, size_t n_images,
                   const struct inspect_options *options, struct guest_report *ret_report,
                   struct err *err);

/* Is there an ERROR among the findings? The first of them, or NULL. */
const struct finding *inspect_blocker(const struct guest_report *report);

/* The child: serves descriptor 3 (role "inspect") until its one task is done. Returns the exit
 * status. */
int inspect_child_main(void);

#endif
