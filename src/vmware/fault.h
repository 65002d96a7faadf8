/* What the server says when it does not do what it was asked. */
#ifndef VMWARE_FAULT_H
#define VMWARE_FAULT_H

#include <stdbool.h>

#include "base/err.h"
#include "wire/xml.h"

#define NS_XSI "http://www.w3.org/2001/XMLSchema-instance"

struct fault {
    char type[64]; /* "NoPermission"; "" when it has none */
    char message[512];
    char object_type[48], object[64]; /* NoPermission, ManagedObjectNotFound */
    char privilege[96];
    char property[96]; /* InvalidArgument's invalidProperty, InvalidProperty's name */
    char file[256];    /* FileFault */
    char requested[32], existing[32]; /* InvalidPowerState */
    char reason[256];
};

/* The value of xsi:type without its prefix, by the attribute's namespace; NULL: it has none. */
const char *xsi_type(const struct xml_node *node);

/* From an element whose xsi:type is the fault (a child of SOAP's detail, or `fault` in a
 * LocalizedMethodFault) and the message beside it (may be NULL). */
void fault_read(const struct xml_node *node, const char *message, struct fault *ret);

/* From a SOAP Fault element. */
void fault_read_soap(const struct xml_node *soap_fault, struct fault *ret);

/* From a LocalizedMethodFault: an `error`. */
void fault_read_localized(const struct xml_node *error, struct fault *ret);

/* "WHAT: message (Type): what to do" as an error; user is whom NoPermission names. */
int fault_err(const struct fault *fault, const char *user, const char *what, struct err *err);

/* May go away by itself. */
bool fault_is_transient(const struct fault *fault);

/* Copy with control characters as spaces, cut at a whole character. */
void text_take(char *to, size_t size, const char *text);
#define TEXT_TAKE(to, text) text_take((to), sizeof(to), (text))

#endif
