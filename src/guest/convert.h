/* Conversion: virt-v2v-in-place on the overlays of a machine.
 *
 * virt-v2v is a program, not a library; what it can do differs from 2.2 (Debian 12) to 2.13, so its
 * features are asked for first and an option it has not is refused before anything is started. It
 * writes into the disks that the XML names: give it overlays (guest/overlay.h), it never rolls
 * back.
 */
#ifndef GUEST_CONVERT_H
#define GUEST_CONVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "guest/accel.h"

struct convert_spec {
    const char *xml_path; /* libvirt XML with the disks to convert (guest/domxml) */
    const char *log_path; /* everything virt-v2v says is appended here; made 0600 */
    const char *temp_dir; /* an existing private directory with 1 GiB free, for scratch files */
    enum accel accel;

    const char *root;         /* --root: "first" (NULL), "single" or a device */
    const char *const *keys;  /* --key ID:key:SECRET | ID:file:PATH | ID:clevis; NULL-term. */
    const char *const *macs;  /* --mac; NULL-terminated or NULL */
    const char *block_driver; /* --block-driver, or NULL */
    unsigned memsize_mib;     /* memory of the appliance; 0: virt-v2v's own choice */
    bool no_fstrim;           /* --no-fstrim */
    bool trace;               /* -x: each libguestfs call into the log as well */
    const char *virtio_win;   /* ISO or directory, as $VIRTIO_WIN; NULL: virt-v2v's own choice */
    const char *program;      /* NULL: virt-v2v-in-place, looked for in PATH */
    int64_t silence_limit_ns; /* stop when it says nothing for so long; 0: 30 minutes */
};

enum convert_line { CONVERT_STAGE, CONVERT_WARNING, CONVERT_INFO };

/* One line of virt-v2v's for people. For a stage: at_ms since virt-v2v's start, and pct, how far
 * the conversion has come (0..100, from what the stages take on average; -1 for a stage we do not
 * know). */
struct convert_event {
    enum convert_line line;
    const char *text; /* without the number or the "virt-v2v: warning: " */
    int64_t at_ms;    /* -1 unless a stage */
    int pct;
};

typedef void convert_stage_fn(const struct convert_event *event, void *arg);

/* Run it to its end. No time limit but silence_limit_ns. cancelled (may be NULL) is asked twice a
 * second. ERR_INVALID: an option this virt-v2v has not; ERR_NOT_FOUND: no virt-v2v; ERR_CANCELLED;
 * ERR_UNAVAILABLE: silence; otherwise the kind that fits the cause, whose text says cause and cure
 * in one phrase and names the log. Secrets are neither in argv nor in the log. */
int convert_run(const struct convert_spec *spec, convert_stage_fn *stage,
                bool (*cancelled)(void *arg), void *arg, struct err *err);

/* ---- the parts, for tests and for `vmferry doctor` ---- */

struct convert_features {
    bool key_all; /* --key all:... */
    bool block_driver;
    bool mac_ip;
    bool memsize;
    bool no_fstrim;
    char version[32]; /* "2.2.0"; "" unknown */
};

/* Ask the program (NULL: virt-v2v-in-place) what it can. A question takes 20 ms. */
int convert_features_ask(const char *program, struct convert_features *ret_features,
                         struct err *err);

/* The same from what it printed for --machine-readable, --help and --version. */
void convert_features_read(const char *machine, const char *help, const char *version,
                           struct convert_features *ret_features);

/* Read one line of stdout. False: not for people (debug output, empty). event->text points into
 * line. Stateless. */
bool convert_line_read(const char *line, struct convert_event *ret_event);

/* Why it failed, from the kept tail of its output. NULL: not known. */
struct convert_failure {
    const char *fragment; /* found in the output */
    enum err_kind kind;
    const char *cause; /* one phrase */
    const char *cure;
    bool appliance_died; /* for which KVM may be the cause */
};
const struct convert_failure *convert_failure_find(const char *tail);

#endif
