/* The parts of a domain XML, for domxml.c only: what the machine shall be, and its devices. */
#ifndef GUEST_DOMXML_DEVICES_H
#define GUEST_DOMXML_DEVICES_H

#include "guest/domxml.h"
#include "wire/xml-writer.h"

/* What follows from the guest. */
struct domxml_plan {
    const struct domxml_spec *spec;
    const struct vm *vm;
    bool windows;
    bool kvm;
    bool old_chipset;  /* pc, not q35 */
    bool transitional; /* virtio 0.9 */
};

/* The <devices> element. */
void domxml_put_devices(struct xml_writer *w, const struct domxml_plan *plan);

/* <name state="..."/> */
void domxml_put_state(struct xml_writer *w, const char *name, const char *state);

#endif
