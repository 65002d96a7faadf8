#include "guest/netid.h"

#include "guest/appliance.h"

int
netid_apply(const struct vm_image *images, size_t n_images, const struct vm_nic *nics,
            size_t n_nics, const struct inspect_options *options, struct guest_report *ret_notes,
            struct err *err)
{
    *ret_notes = (struct guest_report){ 0 };
    if (n_nics == 0)
        return 0;
    auto_disk_servers struct disk_servers disks = { 0 };
    if (disk_servers_start(&disks, images, n_images, true, err) < 0)
        return err_prefix(err, "keep the names of network interfaces");
    json_t *list = json_array();
    for (size_t i = 0; i < n_nics; i++)
        json_array_append_new(list, json_pack("{s:s, s:I}", "mac", nics[i].mac, "pci_slot",
                                              (json_int_t)nics[i].pci_slot));
    json_t *start = json_pack("{s:s, s:o}", "task", "netid", "nics", list);
    if (appliance_run(&disks, options, start, ret_notes, err) < 0) {
        guest_facts_free(&ret_notes->facts);
        return err_prefix(err, "keep the names of network interfaces");
    }
    return 0;
}
