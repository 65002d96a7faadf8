/* The readers of a guest's own text files: its network configuration and its fstab. The first byte
 * chooses the reader, the rest is the file.
 *
 * Held: names and MACs are of their shape, a decision about them is made, and no reader runs on. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "guest/fstab.h"
#include "guest/netid-plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_fstab(const char *text)
{
    struct fstab_entry entry;
    for (const char *cursor = text, *before = text; fstab_next(&cursor, &entry); before = cursor) {
        if (cursor <= before || !entry.device[0] || !entry.where[0])
            abort();
        fstab_has_option(&entry, "nofail");
        fstab_is_place(entry.device);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    typedef void reader_fn(struct netid_config *, const char *, const char *);
    static reader_fn *const readers[] = {
        netid_read_ifupdown, netid_read_keyfile,    netid_read_ifcfg, netid_read_netplan,
        netid_read_networkd, netid_read_udev_rules, netid_read_link,
    };
    static struct netid_config config;
    static struct netid_plan plan;
    static struct guest_report notes;
    if (size == 0)
        return 0;
    auto_free char *text = strndup((const char *)data + 1, size - 1);
    if (!text)
        abort();
    config = (struct netid_config){ 0 };
    notes = (struct guest_report){ 0 };
    if (data[0] % 8 == ARRAY_LEN(readers))
        read_fstab(text);
    else
        readers[data[0] % 8](&config, text, "/etc/sysconfig/network/ifcfg-eth0");
    for (size_t i = 0; i < config.n_names; i++)
        if (!config.names[i].name[0] || strpbrk(config.names[i].name, " \t\n\"'/.:") ||
            (config.names[i].mac[0] && strlen(config.names[i].mac) != 17))
            abort();
    for (size_t i = 0; i < config.n_rules; i++)
        if (!config.rules[i].name[0] || strlen(config.rules[i].mac) != 17)
            abort();
    const struct vm_nic nics[] = { { .mac = "00:50:56:aa:bb:01", .pci_slot = 192 },
                                   { .mac = "00:50:56:aa:bb:02" } };
    netid_decide(&config, nics, 1 + size % 2, &plan, &notes);
    if (plan.n > ARRAY_LEN(nics))
        abort();
    return 0;
}
