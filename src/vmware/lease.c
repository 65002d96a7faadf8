#include "vmware/lease.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "vmware/machine-read.h"
#include "vmware/property.h"
#include "wire/url.h"

#define READY_S 300
#define DEFAULT_TIMEOUT_S 300
#define LONGEST_TIMEOUT_S 86400

enum stage { STAGE_NEW, STAGE_READY, STAGE_OVER };

struct vmware_lease {
    struct vmware_session *session;
    const struct vmware_machine *machine;
    char moref[VMWARE_MOREF_MAX];
    char what[160];
    enum stage stage;
    unsigned timeout_s;
    unsigned percent; /* told last */
    int64_t told_ns;
    struct vmware_texts *texts;
    size_t n_entries;
    struct vmware_lease_entry entries[VMWARE_LEASE_ENTRIES_MAX];
    size_t n_manifest;
    struct vmware_manifest_entry manifest[VMWARE_LEASE_ENTRIES_MAX];
};

static int take_info(struct vmware_lease *lease, const struct object *object, struct err *err);

int
vmware_lease_export(struct vmware_session *session, const struct vmware_machine *machine,
                    const char *snapshot_moref, struct vmware_lease **ret, struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 };
    auto_vmware_lease struct vmware_lease *lease = calloc(1, sizeof *lease);
    if (!lease)
        return err_errno(err, ENOMEM, "a lease");
    lease->stage = STAGE_OVER; /* nothing to abort yet */
    lease->session = session;
    lease->machine = machine;
    lease->timeout_s = DEFAULT_TIMEOUT_S;
    snprintf(lease->what, sizeof lease->what, "export %.100s", machine->name);
    if (!(lease->texts = texts_new(err)))
        return -1;
    struct soap_call call = { .what = lease->what, .once = true };
    if (call_plain(session, snapshot_moref ? "ExportSnapshot" : "ExportVm",
                   snapshot_moref ? "VirtualMachineSnapshot" : "VirtualMachine",
                   snapshot_moref ? snapshot_moref : machine->moref, &call, &reply, err) < 0 ||
        reply_moref(session, &reply, lease->what, lease->moref, err) < 0)
        return -1;
    lease->stage = STAGE_NEW;
    lease->told_ns = clock_now_ns();
    *ret = TAKE_PTR(lease);
    return 0;
}

void
vmware_lease_free(struct vmware_lease *lease)
{
    if (!lease)
        return;
    struct err ignored = ERR_INIT;
    if (lease->stage != STAGE_OVER)
        vmware_lease_abort(lease, "given up", &ignored);
    for (size_t i = 0; i < lease->n_entries; i++) /* the tickets in them */
        explicit_bzero((char *)lease->entries[i].url, strlen(lease->entries[i].url));
    texts_free(lease->texts);
    free(lease);
}

/* ---- becoming ready ---- */

static int
look_ready(const struct object *object, void *arg, struct err *err)
{
    struct vmware_lease *lease = arg;
    struct vmware_session *session = lease->session;
    const char *state = object_text(object, "state");
    if (state && strcmp(state, "ready") == 0)
        return take_info(lease, object, err) < 0 ? -1 : 1;
    if (state && strcmp(state, "error") == 0) {
        char subject[512];
        lease->stage = STAGE_OVER;
        snprintf(subject, sizeof subject, "%s: %s", session->endpoint, lease->what);
        fault_read_localized(object_get(object, "error"), &session->fault);
        return fault_err(&session->fault, session->user, subject, err);
    }
    if (state && strcmp(state, "done") == 0) {
        lease->stage = STAGE_OVER;
        return err_set(err, ERR_CONFLICT, "%s: %s: somebody ended the lease", session->endpoint,
                       lease->what);
    }
    return 0;
}

int
vmware_lease_wait(struct vmware_lease *lease, int timeout_s, struct err *err)
{
    static const char *const paths[] = { "state", "error", "info", NULL };
    struct watch_spec spec = {
        .type = "HttpNfcLease",
        .moref = lease->moref,
        .paths = paths,
        .what = lease->what,
        .deadline_ns = clock_now_ns() + (timeout_s ? timeout_s : READY_S) * NS_PER_S,
        .look = look_ready,
        .arg = lease,
    };
    if (property_watch(lease->session, &spec, err) < 0)
        return -1;
    lease->stage = STAGE_READY;
    lease->told_ns = clock_now_ns();
    return 0;
}

/* ---- what it offers ---- */

/* "/vm-16/ParaVirtualSCSIController0:2": class, bus number and unit. */
static int
match_key(const struct vmware_machine *machine, const char *key)
{
    const char *name = strrchr(key, '/');
    name = name ? name + 1 : key;
    const char *colon = strrchr(name, ':');
    if (!colon || colon == name)
        return -1;
    const char *digits = colon;
    while (digits > name && digits[-1] >= '0' && digits[-1] <= '9')
        digits--;
    char type[64], number[16];
    enum vm_bus bus;
    if ((size_t)(digits - name) >= sizeof type || (size_t)(colon - digits) >= sizeof number)
        return -1;
    memcpy(type, name, (size_t)(digits - name));
    type[digits - name] = '\0';
    memcpy(number, digits, (size_t)(colon - digits));
    number[colon - digits] = '\0';
    if (!*number || !colon[1] || !controller_bus(type, &bus))
        return -1;
    for (size_t i = 0; i < machine->n_disks; i++) {
        const struct vm_disk *disk = &machine->vm->disks[i];
        if (disk->bus == bus && disk->controller == text_u64(number) &&
            disk->unit == text_u64(colon + 1))
            return (int)i;
    }
    return -1;
}

/* A star in place of the host is the server that was asked. */
static int
take_url(struct vmware_lease *lease, struct vmware_lease_entry *entry, const char *given,
         struct err *err)
{
    static const char any[] = "https://*";
    auto_secret char *own = NULL;
    auto_url struct url url = { 0 };
    char endpoint[URL_ENDPOINT_MAX];
    const struct vmware_session *session = lease->session;
    bool star = given && strncmp(given, any, strlen(any)) == 0;
    const char *rest = star ? given + strlen(any) : NULL;
    if (star && *rest == ':')
        rest += strcspn(rest, "/");
    if (!given || (star ? asprintf(&own, "https://%s%s", session->endpoint, rest)
                        : asprintf(&own, "%s", given)) < 0) {
        own = NULL;
        return err_set(err, ERR_INVALID, "a device without a URL");
    }
    if (url_parse(own, &url, err) < 0)
        return -1;
    if (strcmp(url.scheme, "https") != 0)
        return err_set(err, ERR_INVALID, "a device by %s, and not by https", url.scheme);
    entry->same_server =
        strcasecmp(url.host, session->host) == 0 && (url.port ? url.port : 443) == session->port;
    if (texts_add(lease->texts, own, &entry->url, err) < 0)
        return -1;
    return texts_add(lease->texts, url_endpoint(url.host, url.port ? url.port : 443, endpoint),
                     &entry->host, err);
}

static int
take_entry(struct vmware_lease *lease, const struct xml_node *device, struct err *err)
{
    if (lease->n_entries == VMWARE_LEASE_ENTRIES_MAX)
        return err_set(err, ERR_INVALID, "more than %d devices", VMWARE_LEASE_ENTRIES_MAX);
    struct vmware_lease_entry *entry = &lease->entries[lease->n_entries];
    *entry = (struct vmware_lease_entry){
        .disk = text_bool(xml_text_at(device, "disk")),
        .file_bytes = text_u64(xml_text_at(device, "fileSize")),
        .disk_index = -1,
    };
    const struct {
        const char *name, **to;
    } wanted[] = {
        { "key", &entry->key },
        { "sslThumbprint", &entry->ssl_thumbprint },
        { "targetId", &entry->target_id },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const char *text = xml_text_at(device, wanted[i].name);
        if (texts_add(lease->texts, text ? text : "", wanted[i].to, err) < 0)
            return -1;
    }
    if (take_url(lease, entry, xml_text_at(device, "url"), err) < 0)
        return -1;
    if (entry->disk)
        entry->disk_index = match_key(lease->machine, entry->key);
    lease->n_entries++;
    return 0;
}

/* Two streams for one disk, or one disk and two streams that fit none, would mix them up. */
static int
check_entries(const struct vmware_lease *lease, struct err *err)
{
    for (size_t i = 0; i < lease->n_entries; i++)
        for (size_t before = 0; before < i; before++)
            if (lease->entries[i].disk_index >= 0 &&
                lease->entries[i].disk_index == lease->entries[before].disk_index)
                return err_set(err, ERR_INVALID, "two streams for one disk: %.100s and %.100s",
                               lease->entries[before].key, lease->entries[i].key);
    return 0;
}

static int
take_info(struct vmware_lease *lease, const struct object *object, struct err *err)
{
    const char *timeout = object_text(object, "info.leaseTimeout");
    const struct xml_node *device = object_get(object, "info.deviceUrl");
    uint64_t timeout_s = timeout ? text_u64(timeout) : DEFAULT_TIMEOUT_S;
    lease->timeout_s = (unsigned)MIN(MAX(timeout_s, (uint64_t)1), (uint64_t)LONGEST_TIMEOUT_S);
    lease->n_entries = 0;
    for (; device; device = xml_next(device, "deviceUrl"))
        if (take_entry(lease, device, err) < 0)
            return err_prefix(err, "%s: %s", lease->session->endpoint, lease->what);
    if (check_entries(lease, err) < 0)
        return err_prefix(err, "%s: %s", lease->session->endpoint, lease->what);
    return 0;
}

size_t
vmware_lease_entries(const struct vmware_lease *lease, const struct vmware_lease_entry **ret)
{
    *ret = lease->entries;
    return lease->n_entries;
}

unsigned
vmware_lease_timeout_s(const struct vmware_lease *lease)
{
    return lease->timeout_s;
}

const char *
vmware_lease_moref(const struct vmware_lease *lease)
{
    return lease->moref;
}

/* ---- while it lives ---- */

int
vmware_lease_progress(struct vmware_lease *lease, unsigned percent, struct err *err)
{
    int64_t now_ns = clock_now_ns();
    percent = MIN(percent, 100U);
    if (percent <= lease->percent && now_ns - lease->told_ns < lease->timeout_s * NS_PER_S / 6)
        return 0;
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply reply = { 0 };
    struct soap_call call = { .what = lease->what };
    call_begin(lease->session, &message, "HttpNfcLeaseProgress", "HttpNfcLease", lease->moref);
    soap_int(&message, "percent", percent);
    if (call_send(lease->session, &message, &call, &reply, err) == 0) {
        lease->percent = percent;
        lease->told_ns = clock_now_ns();
        return 0;
    }
    if (err->kind != ERR_NOT_FOUND && !call_is_fault(lease->session, "InvalidState") &&
        !call_is_fault(lease->session, "Timedout"))
        return -1;
    lease->stage = STAGE_OVER;
    return err_set(err, ERR_CONFLICT,
                   "%s: %s: the lease is over: it was silent for more than %u s, "
                   "or somebody ended it",
                   lease->session->endpoint, lease->what, lease->timeout_s);
}

static int
take_hex(struct vmware_lease *lease, const char *text, const char **ret, struct err *err)
{
    char hex[80];
    TEXT_TAKE(hex, text);
    for (char *c = hex; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return texts_add(lease->texts, hex, ret, err);
}

static int
take_manifest_entry(struct vmware_lease *lease, const struct xml_node *node, struct err *err)
{
    if (lease->n_manifest == VMWARE_LEASE_ENTRIES_MAX)
        return err_set(err, ERR_INVALID, "a manifest of more than %d entries",
                       VMWARE_LEASE_ENTRIES_MAX);
    struct vmware_manifest_entry *entry = &lease->manifest[lease->n_manifest++];
    const char *type = xml_text_at(node, "checksumType");
    const char *checksum = xml_text_at(node, "checksum");
    bool is_sha256 = type && strcasecmp(type, "sha256") == 0;
    const char *sha1 = xml_text_at(node, "sha1");
    sha1 = sha1 && *sha1 ? sha1 : is_sha256 ? NULL : checksum;
    const char *sha256 = is_sha256 ? checksum : NULL;
    const char *key = xml_text_at(node, "key");
    *entry = (struct vmware_manifest_entry){
        .bytes = text_u64(xml_text_at(node, "size")),
        .capacity_bytes = text_u64(xml_text_at(node, "capacity")),
        .populated_bytes = text_u64(xml_text_at(node, "populatedSize")),
        .disk = text_bool(xml_text_at(node, "disk")),
    };
    if (texts_add(lease->texts, key ? key : "", &entry->key, err) < 0 ||
        take_hex(lease, sha1, &entry->sha1, err) < 0)
        return -1;
    return take_hex(lease, sha256, &entry->sha256, err);
}

int
vmware_lease_manifest(struct vmware_lease *lease, const struct vmware_manifest_entry **ret,
                      size_t *ret_n, struct err *err)
{
    auto_soap_reply struct soap_reply reply = { 0 };
    struct soap_call call = { .what = lease->what };
    lease->n_manifest = 0;
    if (call_plain(lease->session, "HttpNfcLeaseGetManifest", "HttpNfcLease", lease->moref, &call,
                   &reply, err) < 0) {
        if (!call_is_fault(lease->session, "MethodNotFound") &&
            !call_is_fault(lease->session, "NotSupported") &&
            !call_is_fault(lease->session, "NotImplemented"))
            return -1;
    } else {
        const struct xml_node *node = xml_child(reply.response, "returnval");
        for (; node; node = xml_next(node, "returnval"))
            if (take_manifest_entry(lease, node, err) < 0)
                return err_prefix(err, "%s: %s", lease->session->endpoint, lease->what);
    }
    *ret = lease->manifest;
    *ret_n = lease->n_manifest;
    return 0;
}

/* ---- its end ---- */

int
vmware_lease_complete(struct vmware_lease *lease, struct err *err)
{
    struct soap_call call = { .what = lease->what };
    if (call_plain(lease->session, "HttpNfcLeaseComplete", "HttpNfcLease", lease->moref, &call,
                   NULL, err) < 0)
        return -1;
    lease->stage = STAGE_OVER;
    return 0;
}

static int
abort_lease(struct vmware_session *session, const char *moref, const char *why, const char *what,
            struct err *err)
{
    auto_soap_message struct soap_message message = { 0 };
    auto_soap_reply struct soap_reply reply = { 0 };
    struct soap_call call = { .what = what };
    call_begin(session, &message, "HttpNfcLeaseAbort", "HttpNfcLease", moref);
    if (why) {
        char text[256];
        TEXT_TAKE(text, why);
        soap_open(&message, "fault", NULL);
        soap_open(&message, "fault", "SystemError");
        soap_text(&message, "reason", text);
        soap_close(&message);
        soap_text(&message, "localizedMessage", text);
        soap_close(&message);
    }
    if (call_send(session, &message, &call, &reply, err) == 0)
        return 0;
    return err->kind == ERR_NOT_FOUND || call_is_fault(session, "InvalidState") ||
                   call_is_fault(session, "Timedout")
               ? 0
               : -1;
}

int
vmware_lease_abort(struct vmware_lease *lease, const char *why, struct err *err)
{
    if (lease->stage == STAGE_OVER)
        return 0;
    if (abort_lease(lease->session, lease->moref, why, lease->what, err) < 0)
        return -1;
    lease->stage = STAGE_OVER;
    return 0;
}

int
vmware_lease_abort_moref(struct vmware_session *session, const char *moref, struct err *err)
{
    return abort_lease(session, moref, "given up", "end an export that was left behind", err);
}
