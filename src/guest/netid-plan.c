/* How a guest on VMware names its NICs, and which NIC a name therefore means.
 *
 * The machine has four PCI Express root ports of eight functions, at slots 21.0 to 24.7. The port
 * tells its slot number, 160 + function for the first, 192, 224, 256 + function for the others, and
 * udev makes ens160, ens192, ... of it. Behind them lie the buses 3-10, 11-18, 19-26, 27-34, from
 * which older guests make enp11s0, or eno followed by (index << 24 | bus << 8 | device << 3). Old
 * emulated cards sit on the PCI bridge, bus 2, with slot numbers 32 + device: ens33, enp2s1,
 * eno16777736. */
#include "guest/netid-plan.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define FIRST_PORT 160
#define PORTS 4
#define PORT_STEP 32
#define PORT_FUNCTIONS 8
#define FIRST_PORT_BUS 3
#define BRIDGE_BUS 2
#define BRIDGE_SLOT 32
#define NO_NIC SIZE_MAX

static size_t find_nic(const struct netid_config *config, const struct netid_name *name,
                       const struct vm_nic *nics, size_t n_nics, const char **ret_how);
static bool has_rule(const struct netid_config *config, const char *name, const struct vm_nic *nics,
                     size_t n_nics);

void
netid_decide(const struct netid_config *config, const struct vm_nic *nics, size_t n_nics,
             struct netid_plan *ret_plan, struct guest_report *notes)
{
    bool taken[VM_MAX_NICS] = { false };
    *ret_plan = (struct netid_plan){ 0 };
    for (size_t i = 0; i < config->n_names; i++) {
        const struct netid_name *name = &config->names[i];
        const char *how = "";
        if (has_rule(config, name->name, nics, n_nics)) {
            guest_report_add(notes, FINDING_INFO, "netid-unneeded",
                             "%s keeps its name: the guest has a rule by MAC", name->name);
            continue;
        }
        if (strncmp(name->name, "eth", 3) == 0 && !name->mac[0]) {
            guest_report_add(notes, FINDING_INFO, "netid-unneeded",
                             "%s is a name in the order of the NICs, which stays", name->name);
            continue;
        }
        size_t nic = find_nic(config, name, nics, n_nics, &how);
        if (nic == NO_NIC || taken[nic] || !nics[nic].mac[0]) {
            guest_report_add(
                notes, FINDING_WARNING, "netid-unmapped",
                "%s in %s: which NIC that is cannot be told (%s); it will have another "
                "name: mend the guest's network on its console",
                name->name, name->source,
                nic == NO_NIC ? "no NIC of the machine has its slot or its MAC"
                : taken[nic]  ? "another name means the same NIC"
                              : "its MAC is not known");
            continue;
        }
        taken[nic] = true;
        struct netid_rule *rule = &ret_plan->rules[ret_plan->n++];
        snprintf(rule->name, sizeof rule->name, "%s", name->name);
        snprintf(rule->mac, sizeof rule->mac, "%s", nics[nic].mac);
        guest_report_add(notes, FINDING_INFO, "netid-rule", "%s stays with %s (%s)", name->name,
                         nics[nic].mac, how);
    }
}

/* ---- slots ---- */

unsigned
netid_slot_number(unsigned pci_slot)
{
    return (pci_slot & 1023) + (pci_slot >> 10);
}

static bool
slot_of_bus(unsigned bus, unsigned device, unsigned *ret_slot)
{
    if (bus == BRIDGE_BUS) {
        *ret_slot = BRIDGE_SLOT + device;
        return true;
    }
    if (bus < FIRST_PORT_BUS || bus >= FIRST_PORT_BUS + PORTS * PORT_FUNCTIONS)
        return false;
    unsigned port = (bus - FIRST_PORT_BUS) / PORT_FUNCTIONS;
    *ret_slot = FIRST_PORT + port * PORT_STEP + (bus - FIRST_PORT_BUS) % PORT_FUNCTIONS;
    return true;
}

/* A number at *p, which moves behind it. */
static bool
read_number(const char **p, unsigned long max, unsigned *ret)
{
    char *end;
    if (!isdigit((unsigned char)**p))
        return false;
    errno = 0;
    unsigned long number = strtoul(*p, &end, 10);
    if (errno != 0 || number > max)
        return false;
    *p = end;
    *ret = (unsigned)number;
    return true;
}

bool
netid_slot_of_name(const char *name, unsigned *ret_slot)
{
    unsigned a, b;
    const char *p = name + 3;
    if (strncmp(name, "ens", 3) == 0)
        return read_number(&p, 65535, ret_slot);
    if (strncmp(name, "enp", 3) == 0)
        return read_number(&p, 255, &a) && *p++ == 's' && read_number(&p, 31, &b) &&
               slot_of_bus(a, b, ret_slot);
    if (strncmp(name, "eno", 3) == 0)
        return read_number(&p, UINT32_MAX, &a) && a >> 24 != 0 &&
               slot_of_bus(a >> 8 & 0xff, a >> 3 & 0x1f, ret_slot);
    return false;
}

/* VMware gives slots to ethernet0, 1, 2 ... in this order: the first function of each port, then
 * the second of each. */
static unsigned
slot_order(unsigned slot)
{
    if (slot < FIRST_PORT)
        return slot;
    return FIRST_PORT + (slot - FIRST_PORT) % PORT_STEP * PORTS + (slot - FIRST_PORT) / PORT_STEP;
}

/* ---- which NIC ---- */

static size_t
nic_with_mac(const struct vm_nic *nics, size_t n_nics, const char *mac)
{
    for (size_t i = 0; i < n_nics; i++)
        if (nics[i].mac[0] && strcmp(nics[i].mac, mac) == 0)
            return i;
    return NO_NIC;
}

static bool
has_rule(const struct netid_config *config, const char *name, const struct vm_nic *nics,
         size_t n_nics)
{
    for (size_t i = 0; i < config->n_rules; i++)
        if (strcmp(config->rules[i].name, name) == 0 &&
            nic_with_mac(nics, n_nics, config->rules[i].mac) != NO_NIC)
            return true;
    return false;
}

/* enx005056aabb01 */
static bool
mac_of_name(const char *name, char ret_mac[NETID_MAC_MAX])
{
    struct err ignored = ERR_INIT;
    return strncmp(name, "enx", 3) == 0 && strlen(name) == 15 &&
           vm_mac_parse(name + 3, ret_mac, &ignored) == 0;
}

/* The description does not say where the NICs are. As many names as NICs: the n-th name, in
 * VMware's order, is the n-th NIC. */
static size_t
nic_by_order(const struct netid_config *config, const struct netid_name *name,
             const struct vm_nic *nics, size_t n_nics)
{
    unsigned slot, other;
    size_t before = 0, names = 0;
    for (size_t i = 0; i < n_nics; i++)
        if (nics[i].pci_slot != 0)
            return NO_NIC;
    bool known = netid_slot_of_name(name->name, &slot);
    for (size_t i = 0; i < config->n_names; i++) {
        if (strncmp(config->names[i].name, "eth", 3) == 0)
            return NO_NIC;
        names++;
        if (&config->names[i] == name)
            continue;
        if (!known || !netid_slot_of_name(config->names[i].name, &other))
            return NO_NIC;
        before += slot_order(other) < slot_order(slot);
    }
    return names == n_nics ? before : NO_NIC;
}

static size_t
find_nic(const struct netid_config *config, const struct netid_name *name,
         const struct vm_nic *nics, size_t n_nics, const char **ret_how)
{
    char mac[NETID_MAC_MAX];
    unsigned slot;
    *ret_how = "its configuration names the MAC";
    if (name->mac[0])
        return nic_with_mac(nics, n_nics, name->mac);
    *ret_how = "the MAC is in its name";
    if (mac_of_name(name->name, mac))
        return nic_with_mac(nics, n_nics, mac);
    *ret_how = "by its slot";
    if (netid_slot_of_name(name->name, &slot))
        for (size_t i = 0; i < n_nics; i++)
            if (nics[i].pci_slot != 0 && netid_slot_number(nics[i].pci_slot) == slot)
                return i;
    *ret_how = n_nics == 1 ? "the only NIC" : "by its order";
    return nic_by_order(config, name, nics, n_nics);
}
