/* One machine by what a person calls it. */
#ifndef VMWARE_FIND_H
#define VMWARE_FIND_H

#include "vmware/session.h"

#define VMWARE_FOUND_MAX 10 /* candidates named in the error */

struct vmware_found {
    char moref[VMWARE_MOREF_MAX];
    char *name; /* decoded */
    char *path; /* "/DC0/vm/prod/web01", as the API has it */
    char *datacenter_path;
};
void vmware_found_free(struct vmware_found *found);
#define auto_vmware_found AUTO(vmware_found_free)

/* query is tried as a moref ("vm-16"; on ESXi "16", "moref=16"), an instance UUID, a BIOS UUID, an
 * inventory path (anything with a "/" in it: "/DC0/vm/prod/web01", "DC0/vm/prod/web01",
 * "prod/web01" below the vm folder of a datacenter), and a name, in this order; a name that is
 * another machine's moref is a conflict, unless "moref=" says which is meant. datacenter_path
 * (NULL: anywhere) is as in vpx:// URLs: "DC0", "/Folder/DC0"; what follows the datacenter in it
 * (cluster, host) is ignored. Names may be given decoded ("a/b") or as the API has them ("a%2fb").
 *
 * ERR_NOT_FOUND says where it was looked for; ERR_CONFLICT: several, with the paths and morefs of
 * at most VMWARE_FOUND_MAX. */
int vmware_find(struct vmware_session *session, const char *query, const char *datacenter_path,
                struct vmware_found *ret, struct err *err);

#endif
