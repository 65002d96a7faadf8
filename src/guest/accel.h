/* Does hardware acceleration really work here?
 *
 * A /dev/kvm that is there proves nothing: on some nested hosts QEMU aborts when it sets the
 * processor up, on others the guest hangs without limit. So a tiny guest is started that must say
 * so; what it said is remembered until the next boot or the next QEMU or kernel.
 */
#ifndef GUEST_ACCEL_H
#define GUEST_ACCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum accel { ACCEL_KVM, ACCEL_TCG };

#define ACCEL_WHY_MAX 256

/* What to use, and why in one phrase ("a guest started with it", "VMFERRY_ACCEL says so",
 * "qemu-system-x86_64: killed by signal 6 (Aborted)"). Takes at most ACCEL_PROBE_LIMIT_NS when
 * nothing is remembered. VMFERRY_ACCEL=kvm|tcg is believed without a probe; any other value of it
 * is ERR_INVALID. Fails otherwise only when there is a
 * /dev/kvm but no QEMU (ERR_NOT_FOUND). */
int accel_probe(enum accel *ret_accel, char ret_why[ACCEL_WHY_MAX], struct err *err);

#define ACCEL_PROBE_LIMIT_NS (INT64_C(10) * 1000000000)

/* An appliance hung or died with KVM although the probe liked it: from now on accel_probe says TCG,
 * for this reason. A cache that cannot be written is not an error: it is asked for again. */
void accel_forget_kvm(const char *why);

/* Environment for libguestfs and virt-v2v, for proc_spec.env_add: NULL-terminated, static. */
const char *const *accel_env(enum accel accel);

/* "kvm", "tcg", and back; ERR_INVALID for another word. */
const char *accel_name(enum accel accel);
int accel_from_name(const char *name, enum accel *ret_accel, struct err *err);

/* The probe itself, without the memory: true when the guest spoke within limit_ns. qemu is the
 * program's name or path. Fills why either way. For accel_probe and its tests. */
bool accel_try_kvm(const char *qemu, int64_t limit_ns, char ret_why[ACCEL_WHY_MAX]);

#endif
