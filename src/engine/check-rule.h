/* What the tables of rules share. For check-*.c only. */
#ifndef ENGINE_CHECK_RULE_H
#define ENGINE_CHECK_RULE_H

#include "engine/check.h"
#include "vmware/machine.h"

struct check_rule;

/* One machine under one rule. */
struct check {
    const struct vmware_machine *m;
    const struct check_context *context;
    const struct check_rule *rule;
    check_fn *found;
    void *arg;
};

struct check_rule {
    const char *code;
    enum check_level cold, warm; /* what it means, where `look` does not say otherwise */
    void (*look)(struct check *check);
    const char *cause, *cure;
};

/* Ended by one without a code. Those of devices and disks are for machines whose configuration
 * could be read. */
extern const struct check_rule check_state_rules[], check_device_rules[], check_disk_rules[];

/* It applies. subject: "scsi0:1"; NULL: the machine. */
void check_say(struct check *check, const char *subject, const char *what, ...)
    __attribute__((format(printf, 3, 4)));
/* With other levels than the rule's. */
void check_say_at(struct check *check, enum check_level cold, enum check_level warm,
                  const char *subject, const char *what, ...) __attribute__((format(printf, 5, 6)));

/* The transports of the context, never none. */
unsigned check_allowed(const struct check_context *context);

/* Those that can read this disk as it is, of all. */
unsigned check_disk_transports(const struct vmware_machine *machine, size_t disk,
                               const struct check_context *context);

/* "vddk, https" into text; returns text. */
#define CHECK_TRANSPORTS_TEXT_MAX 64
const char *check_transports_text(unsigned transports, char text[CHECK_TRANSPORTS_TEXT_MAX]);

#endif
