/* What libvirt says in XML, read. All take the text of one document, NUL-terminated.
 * Sources: https://libvirt.org/formatcaps.html, formatstorage.html, formatdomain.html
 */
#ifndef PLATFORM_LIBVIRT_XML_H
#define PLATFORM_LIBVIRT_XML_H

#include <stdbool.h>

#include "base/err.h"

/* Of a host's capabilities: is there hardware acceleration for x86-64? */
int libvirt_xml_has_kvm(const char *capabilities, bool *ret_kvm, struct err *err);

/* Of a pool: its type, and its directory when its volumes are files in one (else NULL), into fresh
 * strings. */
int libvirt_xml_pool(const char *pool, char **ret_type, char **ret_dir, struct err *err);

/* Our element of a domain's metadata. */
struct libvirt_mark {
    char id[64]; /* of the migration that made it; "" for one that is none */
    bool started;
};

/* "<migration id='...' started='yes'/>", in whatever namespace. */
int libvirt_xml_mark(const char *element, struct libvirt_mark *ret, struct err *err);

#endif
