#include "vmware/schema.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"

#define NS_ENVELOPE "http://schemas.xmlsoap.org/soap/envelope/"
#define NS_XSI "http://www.w3.org/2001/XMLSchema-instance"
#define NS_XSD "http://www.w3.org/2001/XMLSchema"
#define FIRST_BYTES 16384 /* holds every request with a password, so that it is never moved */

static const struct soap_type types[] = {
    /* session */
    { "RetrieveServiceContent", "_this" },
    { "CurrentTime", "_this" },
    { "Login", "_this userName password locale?" },
    { "Logout", "_this" },
    /* views and searches */
    { "CreateContainerView", "_this container type* recursive" },
    { "DestroyView", "_this" },
    { "FindByInventoryPath", "_this inventoryPath" },
    { "FindByUuid", "_this datacenter? uuid vmSearch instanceUuid?" },
    { "FindAllByUuid", "_this datacenter? uuid vmSearch instanceUuid?" },
    /* properties */
    { "RetrievePropertiesEx", "_this specSet+:PropertyFilterSpec options:RetrieveOptions" },
    { "ContinueRetrievePropertiesEx", "_this token" },
    { "CancelRetrievePropertiesEx", "_this token" },
    { "CreateFilter", "_this spec:PropertyFilterSpec partialUpdates" },
    { "DestroyPropertyFilter", "_this" },
    { "WaitForUpdatesEx", "_this version? options?:WaitOptions" },
    { "PropertyFilterSpec",
      "propSet+:PropertySpec objectSet+:ObjectSpec reportMissingObjectsInResults?" },
    { "PropertySpec", "type all? pathSet*" },
    { "ObjectSpec", "obj skip? selectSet*:SelectionSpec" },
    { "SelectionSpec", "name?" },
    { "TraversalSpec", "name? type path skip? selectSet*:SelectionSpec" },
    { "RetrieveOptions", "maxObjects?" },
    { "WaitOptions", "maxWaitSeconds? maxObjectUpdates?" },
    /* machines */
    { "CreateSnapshot_Task", "_this name description? memory quiesce" },
    { "RemoveSnapshot_Task", "_this removeChildren consolidate?" },
    { "ConsolidateVMDisks_Task", "_this" },
    { "ReconfigVM_Task", "_this spec:VirtualMachineConfigSpec" },
    { "VirtualMachineConfigSpec", "changeTrackingEnabled?" },
    { "QueryChangedDiskAreas", "_this snapshot? deviceKey startOffset changeId" },
    { "ShutdownGuest", "_this" },
    { "PowerOffVM_Task", "_this" },
    { "PowerOnVM_Task", "_this host?" },
    { "CancelTask", "_this" },
    /* export */
    { "ExportVm", "_this" },
    { "ExportSnapshot", "_this" },
    { "HttpNfcLeaseProgress", "_this percent" },
    { "HttpNfcLeaseComplete", "_this" },
    { "HttpNfcLeaseAbort", "_this fault?:LocalizedMethodFault" },
    { "HttpNfcLeaseGetManifest", "_this" },
    { "LocalizedMethodFault", "fault:MethodFault localizedMessage?" },
    { "MethodFault", "faultCause? faultMessage*" },
    { "SystemError", "faultCause? faultMessage* reason" },
    /* rights */
    { "HasPrivilegeOnEntities", "_this entity+ sessionId privId*" },
    /* holding off storage vMotion */
    { "DisableMethods", "_this entity+ method+:DisabledMethodRequest sourceId sessionScope?" },
    { "DisabledMethodRequest", "method reasonId" },
    { "EnableMethods", "_this entity+ method+ sourceId" },
};

/* Methods that are not in the published namespace. */
static const char *
namespace_of(const char *method)
{
    static const char *const internal[] = { "DisableMethods", "EnableMethods" };
    for (size_t i = 0; i < ARRAY_LEN(internal); i++)
        if (strcmp(internal[i], method) == 0)
            return "urn:internalvim25";
    return "urn:vim25";
}

const struct soap_type *
soap_type_at(size_t i)
{
    return i < ARRAY_LEN(types) ? &types[i] : NULL;
}

const struct soap_type *
soap_type_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

/* ---- holding what is written against the table ---- */

struct field {
    const char *name, *type; /* in the table; type NULL: a plain value */
    size_t name_len, type_len;
    char mark; /* "?", "*", "+" or NUL */
};

/* The field at this place of a list; the place of the next one, NULL behind the last. */
static const char *
read_field(const char *at, struct field *ret)
{
    size_t len = strcspn(at, " ");
    *ret = (struct field){ .name = at, .name_len = strcspn(at, "?*+: ") };
    const char *rest = at + ret->name_len;
    if (rest < at + len && *rest != ':')
        ret->mark = *rest++;
    if (rest < at + len && *rest == ':') {
        ret->type = rest + 1;
        ret->type_len = (size_t)(at + len - ret->type);
    }
    return at[len] ? at + len + 1 : NULL;
}

static void
blame(struct soap_message *message, const char *name, size_t name_len, const char *what)
{
    if (message->xml.err.kind != ERR_NONE)
        return;
    const struct soap_type *type =
        message->depth ? message->open[message->depth - 1].type : &(struct soap_type){ "", "" };
    err_set(&message->xml.err, ERR_BUG, "request %s: %.*s of %s %s", message->method, (int)name_len,
            name, type->name, what);
}

static bool
must_be_there(const struct field *field)
{
    return field->mark == '\0' || field->mark == '+';
}

/* name may stand here: go on to it in the list. NULL name: the object ends. */
static struct field
advance(struct soap_message *message, const char *name)
{
    struct field field = { .name = "" };
    if (message->depth == 0 || message->xml.err.kind != ERR_NONE)
        return field;
    const struct soap_type *type = message->open[message->depth - 1].type;
    const char **last = &message->open[message->depth - 1].at;
    const char *at = *last ? *last : type->fields;
    bool is_last = *last != NULL;
    while (at) {
        const char *here = at;
        at = read_field(here, &field);
        if (name && strlen(name) == field.name_len &&
            memcmp(name, field.name, field.name_len) == 0) {
            if (is_last && (field.mark == '\0' || field.mark == '?'))
                blame(message, name, strlen(name), "is there twice");
            *last = here;
            return field;
        }
        if (!is_last && must_be_there(&field)) {
            blame(message, field.name, field.name_len, "is missing");
            return field;
        }
        is_last = false;
    }
    if (name)
        blame(message, name, strlen(name), "is unknown or stands too late");
    return field;
}

/* ---- writing ---- */

void
soap_begin(struct soap_message *message, const char *method, const char *operation,
           const char *this_type, const char *this_value)
{
    message->text = BUF_INIT(SOAP_REQUEST_MAX);
    message->text.data = malloc(FIRST_BYTES);
    if (message->text.data)
        message->text.cap = FIRST_BYTES;
    message->xml = XML_WRITER_INIT(&message->text);
    message->method = method;
    struct xml_writer *xml = &message->xml;
    xml_open(xml, "soapenv:Envelope");
    xml_put_attr(xml, "xmlns:soapenv", NS_ENVELOPE);
    xml_put_attr(xml, "xmlns:xsi", NS_XSI);
    xml_put_attr(xml, "xmlns:xsd", NS_XSD);
    if (operation) {
        xml_open(xml, "soapenv:Header");
        xml_put_element(xml, "operationID", operation);
        xml_close(xml);
    }
    xml_open(xml, "soapenv:Body");
    xml_open(xml, method);
    xml_put_attr(xml, "xmlns", namespace_of(method));
    const struct soap_type *type = soap_type_find(method);
    if (!type) {
        blame(message, method, strlen(method), "is a method that the table does not have");
        return;
    }
    message->open[0].type = type;
    message->open[0].at = NULL;
    message->depth = 1;
    soap_ref(message, "_this", this_type, this_value);
}

void
soap_text(struct soap_message *message, const char *name, const char *value)
{
    if (!value)
        return;
    advance(message, name);
    xml_put_element(&message->xml, name, value);
}

void
soap_bool(struct soap_message *message, const char *name, bool value)
{
    soap_text(message, name, value ? "true" : "false");
}

void
soap_int(struct soap_message *message, const char *name, int64_t value)
{
    advance(message, name);
    xml_put_elementf(&message->xml, name, "%" PRId64, value);
}

void
soap_ref(struct soap_message *message, const char *name, const char *type, const char *value)
{
    advance(message, name);
    xml_open(&message->xml, name);
    xml_put_attr(&message->xml, "type", type);
    xml_put_text(&message->xml, value);
    xml_close(&message->xml);
}

void
soap_open(struct soap_message *message, const char *name, const char *type)
{
    struct field field = advance(message, name);
    xml_open(&message->xml, name);
    if (type)
        xml_put_attr(&message->xml, "xsi:type", type);
    char declared[64] = "";
    if (!type && field.type && field.type_len < sizeof declared)
        memcpy(declared, field.type, field.type_len);
    const struct soap_type *known = soap_type_find(type ? type : declared);
    if (!field.type || !known || message->depth == SOAP_DEPTH) {
        blame(message, name, strlen(name), "is no object that the table knows");
        return;
    }
    message->open[message->depth].type = known;
    message->open[message->depth].at = NULL;
    message->depth++;
}

void
soap_close(struct soap_message *message)
{
    advance(message, NULL);
    if (message->depth > 0)
        message->depth--;
    xml_close(&message->xml);
}

int
soap_end(struct soap_message *message, struct err *err)
{
    soap_close(message); /* the method */
    if (message->depth > 0)
        blame(message, "an object", strlen("an object"), "is still open");
    xml_close(&message->xml); /* Body */
    xml_close(&message->xml); /* Envelope */
    return xml_writer_end(&message->xml, err);
}

void
soap_message_free(struct soap_message *message)
{
    if (message->text.data)
        explicit_bzero(message->text.data, message->text.cap);
    buf_free(&message->text);
}
