/* Names of guest operating systems: VMware's and VirtualBox's, as libosinfo ids. */
#ifndef DESCRIPTOR_OSID_H
#define DESCRIPTOR_OSID_H

#include <stdbool.h>

#define OSID_MAX 80

/* "debian12_64Guest", "windows2019srv_64Guest", "Windows10_64" to "http://debian.org/debian/12" ...
 * False when it is not known or says no version ("ubuntu64Guest"). */
bool osid_from_vmware(const char *type, char ret_id[OSID_MAX]);

#endif
