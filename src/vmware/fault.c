#include "vmware/fault.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

const char *
xsi_type(const struct xml_node *node)
{
    for (size_t i = 0; node && i < node->n_attrs; i++) {
        const struct xml_attr *attr = &node->attrs[i];
        if (strcmp(attr->name, "type") != 0 || strcmp(attr->ns, NS_XSI) != 0)
            continue;
        const char *colon = strrchr(attr->value, ':');
        return colon ? colon + 1 : attr->value;
    }
    return NULL;
}

void
text_take(char *to, size_t size, const char *text)
{
    size_t len = text ? strnlen(text, size - 1) : 0;
    if (len > 0)
        memcpy(to, text, len);
    if (len == size - 1) /* not in the middle of a character */
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    to[len] = '\0';
    for (char *c = to; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
}

void
fault_read(const struct xml_node *node, const char *message, struct fault *ret)
{
    memset(ret, 0, sizeof *ret);
    const char *type = xsi_type(node);
    if (type) {
        TEXT_TAKE(ret->type, type);
    } else if (node && strcmp(node->name, "fault") != 0) { /* "InvalidLoginFault" */
        TEXT_TAKE(ret->type, node->name);
        size_t len = strlen(ret->type);
        if (len > 5 && strcmp(ret->type + len - 5, "Fault") == 0 &&
            strcmp(ret->type, "FileFault") != 0)
            ret->type[len - 5] = '\0';
    }
    TEXT_TAKE(ret->message, message);
    const struct xml_node *object = xml_find(node, "object");
    object = object ? object : xml_find(node, "obj");
    TEXT_TAKE(ret->object, object ? object->text : NULL);
    for (size_t i = 0; object && i < object->n_attrs; i++)
        if (strcmp(object->attrs[i].name, "type") == 0 && !*object->attrs[i].ns)
            TEXT_TAKE(ret->object_type, object->attrs[i].value);
    TEXT_TAKE(ret->privilege, xml_text_at(node, "privilegeId"));
    const char *property = xml_text_at(node, "invalidProperty");
    TEXT_TAKE(ret->property, property ? property : xml_text_at(node, "name"));
    TEXT_TAKE(ret->file, xml_text_at(node, "file"));
    TEXT_TAKE(ret->requested, xml_text_at(node, "requestedState"));
    TEXT_TAKE(ret->existing, xml_text_at(node, "existingState"));
    TEXT_TAKE(ret->reason, xml_text_at(node, "reason"));
    /* Why is often said one level down. */
    if (!*ret->message)
        TEXT_TAKE(ret->message, xml_text_at(node, "faultMessage/message"));
}

void
fault_read_soap(const struct xml_node *soap_fault, struct fault *ret)
{
    const struct xml_node *detail = xml_child(soap_fault, "detail");
    const char *message = xml_text_at(soap_fault, "faultstring");
    const struct xml_node *node = xml_child(detail, NULL);
    fault_read(node, message, ret);
}

void
fault_read_localized(const struct xml_node *error, struct fault *ret)
{
    fault_read(xml_child(error, "fault"), xml_text_at(error, "localizedMessage"), ret);
}

/* ---- what it means ---- */

enum { TRANSIENT = 1 };

static const struct meaning {
    const char *type;
    enum err_kind kind;
    unsigned flags;
    const char *advice;
} meanings[] = {
    { "InvalidLogin", ERR_DENIED, 0,
      "user name or password is wrong, or the account is locked; vCenter wants the domain too "
      "(user@domain)" },
    { "PasswordExpired", ERR_DENIED, 0, "set a new password in vSphere first" },
    { "NotAuthenticated", ERR_DENIED, 0, "the server ended the session; log in again" },
    { "NoPermission", ERR_DENIED, 0, NULL },
    { "RestrictedVersion", ERR_DENIED, 0,
      "the licence of this host (the free one of ESXi) lets programs only read: no snapshots and "
      "no changes; copy the machine while it is off over HTTPS or SSH, or assign another licence" },
    { "LicenseRestricted", ERR_DENIED, 0, "see the licence of the host or vCenter" },
    { "MethodDisabled", ERR_CONFLICT, 0,
      "another program (backup, replication) has switched this operation off for the object; wait "
      "until it has ended, or look at its disabledMethod" },
    { "ManagedObjectNotFound", ERR_NOT_FOUND, 0, "it was removed, or registered anew, meanwhile" },
    { "NotFound", ERR_NOT_FOUND, 0, NULL },
    { "FileNotFound", ERR_NOT_FOUND, 0, NULL },
    { "InvalidPowerState", ERR_CONFLICT, 0, NULL },
    { "InvalidState", ERR_CONFLICT, 0,
      "the object is not in a state for this; see its recent tasks and events in vSphere" },
    { "TaskInProgress", ERR_CONFLICT, TRANSIENT,
      "another task (perhaps of a backup program) works on the machine; wait until it has ended" },
    { "ConcurrentAccess", ERR_CONFLICT, TRANSIENT, "somebody else changed it at the same time" },
    { "ResourceInUse", ERR_CONFLICT, 0, NULL },
    { "FileLocked", ERR_CONFLICT, 0, "a running machine, a backup or another copy holds the file" },
    { "FileFault", ERR_IO, 0, NULL },
    { "CannotAccessFile", ERR_IO, 0, "the host cannot reach the datastore" },
    { "NoDiskSpace", ERR_IO, 0, "make room on the datastore" },
    { "InsufficientStorageSpace", ERR_IO, 0, "make room on the datastore" },
    { "ToolsUnavailable", ERR_UNAVAILABLE, 0,
      "VMware Tools do not run in the guest: start them, or shut the guest down yourself" },
    { "TooManySnapshotLevels", ERR_CONFLICT, 0, "remove or consolidate snapshots first" },
    { "SnapshotIncompatibleDeviceInVm", ERR_CONFLICT, 0,
      "a device of the machine (passthrough, shared bus) forbids snapshots; migrate it while off" },
    { "SnapshotFault", ERR_CONFLICT, 0, NULL },
    { "ApplicationQuiesceFault", ERR_CONFLICT, 0, "the guest could not be quiesced" },
    { "FilesystemQuiesceFault", ERR_CONFLICT, 0, "the guest could not be quiesced" },
    { "MemorySnapshotOnIndependentDisk", ERR_CONFLICT, 0, NULL },
    { "HostNotConnected", ERR_UNAVAILABLE, 0, "bring the host back into vCenter" },
    { "HostNotReachable", ERR_UNAVAILABLE, 0, "bring the host back into vCenter" },
    { "HostCommunication", ERR_UNAVAILABLE, TRANSIENT,
      "vCenter does not reach the host; see whether the host is up" },
    { "Timedout", ERR_UNAVAILABLE, 0, "the server gave up waiting; see the host's load" },
    { "RequestCanceled", ERR_CANCELLED, 0, "somebody cancelled the task in vSphere" },
    { "NotSupported", ERR_UNAVAILABLE, 0, "this server or machine cannot do it" },
    { "NotImplemented", ERR_UNAVAILABLE, 0, "this server cannot do it" },
    { "MethodNotFound", ERR_UNAVAILABLE, 0, "this server does not know the call" },
    { "InvalidArgument", ERR_INVALID, 0, NULL },
    { "InvalidProperty", ERR_INVALID, 0, NULL },
    { "InvalidRequest", ERR_INVALID, 0, NULL },
    { "InvalidCollectorVersion", ERR_CONFLICT, 0, NULL },
    { "OutOfBounds", ERR_INVALID, 0, NULL },
    { "SystemError", ERR_UNAVAILABLE, 0, "see the server's log (vpxd, hostd) at this time" },
};

static const struct meaning *
meaning_of(const struct fault *fault)
{
    static const struct meaning unknown = { "", ERR_UNAVAILABLE, 0, NULL };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strcmp(meanings[i].type, fault->type) == 0)
            return &meanings[i];
    return &unknown;
}

bool
fault_is_transient(const struct fault *fault)
{
    return meaning_of(fault)->flags & TRANSIENT;
}

/* What only this fault knows. */
static void
particulars(const struct fault *fault, const char *user, char *text, size_t size)
{
    text[0] = '\0';
    if (*fault->privilege)
        snprintf(text, size, ": %s needs the privilege %s on %s %s; add it to the role of the user",
                 user, fault->privilege, *fault->object_type ? fault->object_type : "the object",
                 fault->object);
    else if (strcmp(fault->type, "NoPermission") == 0)
        snprintf(text, size, ": %s lacks a privilege; see the role of the user", user);
    else if (*fault->file)
        snprintf(text, size, ": %s", fault->file);
    else if (*fault->existing)
        snprintf(text, size, ": the machine is %s%s%s", fault->existing,
                 *fault->requested ? " and would have to be " : "", fault->requested);
    else if (*fault->property)
        snprintf(text, size, ": %s", fault->property);
    else if (*fault->object)
        snprintf(text, size, ": %s %s", fault->object_type, fault->object);
    else if (*fault->reason && strcmp(fault->reason, fault->message) != 0)
        snprintf(text, size, ": %s", fault->reason);
}

int
fault_err(const struct fault *fault, const char *user, const char *what, struct err *err)
{
    const struct meaning *meaning = meaning_of(fault);
    char more[512];
    particulars(fault, user, more, sizeof more);
    return err_set(err, meaning->kind, "%s: %s (%s)%s%s%s", what,
                   *fault->message ? fault->message : "refused without a message",
                   *fault->type ? fault->type : "a fault without a type", more,
                   meaning->advice ? ": " : "", meaning->advice ? meaning->advice : "");
}
