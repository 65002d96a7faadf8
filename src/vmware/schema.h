/* Requests of vim25 (and a few of internalvim25): XML whose elements stand where the WSDL has them.
 *
 * vSphere reads children in the order of the schema (base type first) and refuses or, worse, passes
 * over what stands elsewhere. That order is in one table here; each thing that is written is held
 * against it, and ERR_BUG names what stands wrong, is missing, twice or unknown.
 */
#ifndef VMWARE_SCHEMA_H
#define VMWARE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "wire/xml-writer.h"

#define SOAP_REQUEST_MAX 1048576 /* bytes */
#define SOAP_DEPTH 16

/* The methods and data objects that are sent. fields: their children in order, "name", followed by
 * "?" (may be left out), "*" (any number) or "+" (one at least), and, when it holds elements, by
 * ":Type". */
struct soap_type {
    const char *name, *fields;
};
const struct soap_type *soap_type_find(const char *name);
const struct soap_type *soap_type_at(size_t i); /* NULL behind the last */

/* One request. Its text may hold a password: soap_message_free wipes it. */
struct soap_message {
    struct buf text;
    const char *method;
    struct xml_writer xml;
    size_t depth;
    struct {
        const struct soap_type *type;
        const char *at; /* the field in fields that was written last; NULL: none yet */
    } open[SOAP_DEPTH];
};
void soap_message_free(struct soap_message *message);
#define auto_soap_message AUTO(soap_message_free)

/* Begin a call of method on the object this_type this_value. Start with a zeroed message. Errors
 * are kept and reported by soap_end. */
void soap_begin(struct soap_message *message, const char *method, const char *operation,
                const char *this_type, const char *this_value);
/* A NULL value writes nothing. */
void soap_text(struct soap_message *message, const char *name, const char *value);
void soap_bool(struct soap_message *message, const char *name, bool value);
void soap_int(struct soap_message *message, const char *name, int64_t value);
void soap_ref(struct soap_message *message, const char *name, const char *type, const char *value);
/* An object; type NULL: the one that the field is declared with, else a type derived from it. */
void soap_open(struct soap_message *message, const char *name, const char *type);
void soap_close(struct soap_message *message);
int soap_end(struct soap_message *message, struct err *err);

#endif
