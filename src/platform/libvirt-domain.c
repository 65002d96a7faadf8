#include "platform/libvirt-domain.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>

#include "platform/libvirt-pool.h"
#include "platform/libvirt-xml.h"

#define MARK_KEY "vmferry" /* the prefix that libvirt gives our namespace */

static void
domain_cleanup(virDomainPtr *domain)
{
    if (*domain)
        virDomainFree(*domain);
}
#define auto_domain AUTO(domain_cleanup)

static int find(virConnectPtr conn, const struct libvirt_request *request, virDomainPtr *ret,
                struct err *err);
static int read_look(virDomainPtr domain, const char *id, struct platform_look *ret,
                     struct err *err);
static int refuse(virDomainPtr domain, const struct libvirt_request *request, struct err *err);
static int find_ours(virConnectPtr conn, struct libvirt_request *request, virDomainPtr *ret,
                     struct err *err);
static int mark_started(virDomainPtr domain, const char *id, struct err *err);

int
libvirt_domain_look(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    auto_domain virDomainPtr domain = NULL;
    request->look = (struct platform_look){ .there = false };
    if (find(conn, request, &domain, err) < 0)
        return -1;
    return domain ? read_look(domain, request->id, &request->look, err) : 0;
}

/* By name, and then by UUID: libvirt has each once, and ours may have been renamed. */
static int
find(virConnectPtr conn, const struct libvirt_request *request, virDomainPtr *ret, struct err *err)
{
    *ret = virDomainLookupByName(conn, request->name);
    if (!*ret && !libvirt_error_is(VIR_ERR_NO_DOMAIN))
        return libvirt_error(err, "machine '%s': look for it", request->name);
    if (*ret || !request->uuid)
        return 0;
    *ret = virDomainLookupByUUIDString(conn, request->uuid);
    if (!*ret && !libvirt_error_is(VIR_ERR_NO_DOMAIN))
        return libvirt_error(err, "machine '%s': look for its UUID", request->name);
    return 0;
}

static int
read_look(virDomainPtr domain, const char *id, struct platform_look *ret, struct err *err)
{
    struct libvirt_mark mark = { .id = "" };
    auto_free char *element =
        virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, LIBVIRT_METADATA_NS, 0);
    if (!element && !libvirt_error_is(VIR_ERR_NO_DOMAIN_METADATA))
        return libvirt_error(err, "machine '%s': read its metadata", virDomainGetName(domain));
    if (element && libvirt_xml_mark(element, &mark, err) < 0)
        return -1;
    int active = virDomainIsActive(domain);
    if (active < 0)
        return libvirt_error(err, "machine '%s': ask whether it runs", virDomainGetName(domain));
    bool ours = id && *mark.id && strcmp(mark.id, id) == 0;
    *ret = (struct platform_look){
        .there = true,
        .ours = ours,
        .running = active == 1,
        .started = ours && (mark.started || active == 1),
    };
    return 0;
}

int
libvirt_domain_check(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    auto_domain virDomainPtr domain = NULL;
    if (find(conn, request, &domain, err) < 0)
        return -1;
    if (!domain)
        return 0;
    if (read_look(domain, request->id, &request->look, err) < 0)
        return -1;
    return request->look.ours ? 0 : refuse(domain, request, err);
}

static int
refuse(virDomainPtr domain, const struct libvirt_request *request, struct err *err)
{
    const char *name = virDomainGetName(domain);
    if (strcmp(name, request->name) != 0)
        return err_set(err, ERR_CONFLICT,
                       "machine '%s': this libvirt has '%s' with the same UUID (%s), which was not "
                       "made by this migration: if it is an earlier copy, take it away with virsh "
                       "undefine",
                       request->name, name, request->uuid);
    return err_set(err, ERR_CONFLICT,
                   "machine '%s': this libvirt has one of that name, which was not made by this "
                   "migration: give this one another name, or take that one away with virsh "
                   "undefine",
                   name);
}

int
libvirt_domain_define(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    auto_domain virDomainPtr domain = NULL;
    if (find(conn, request, &domain, err) < 0)
        return -1;
    if (domain && read_look(domain, request->id, &request->look, err) < 0)
        return -1;
    if (domain)
        return request->look.ours ? 0 : refuse(domain, request, err);
    libvirt_pool_refresh(conn, request);
    if (libvirt_call_wanted(request, err) < 0)
        return -1;
    domain = virDomainDefineXML(conn, request->xml);
    return domain ? 0 : libvirt_error(err, "machine '%s': define it", request->name);
}

/* ---- start ---- */

/* The mark comes after the act: killed in between, the next call finds it running. Only a guest
 * that went down by itself in that moment would be started again. */
int
libvirt_domain_start(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    auto_domain virDomainPtr domain = NULL;
    if (find_ours(conn, request, &domain, err) < 0)
        return -1;
    if (request->look.started && !request->look.running)
        return 0;
    if (!request->look.running) {
        if (libvirt_call_wanted(request, err) < 0)
            return -1;
        if (virDomainCreate(domain) < 0)
            return libvirt_error(err, "machine '%s': start it", request->name);
    }
    return mark_started(domain, request->id, err);
}

static int
find_ours(virConnectPtr conn, struct libvirt_request *request, virDomainPtr *ret, struct err *err)
{
    if (find(conn, request, ret, err) < 0)
        return -1;
    if (!*ret)
        return err_set(err, ERR_NOT_FOUND, "machine '%s': is not in this libvirt", request->name);
    if (read_look(*ret, request->id, &request->look, err) < 0)
        return -1;
    return request->look.ours ? 0 : refuse(*ret, request, err);
}

static int
mark_started(virDomainPtr domain, const char *id, struct err *err)
{
    char element[128];
    snprintf(element, sizeof element, "<migration id='%s' started='yes'/>", id);
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, element, MARK_KEY,
                             LIBVIRT_METADATA_NS, VIR_DOMAIN_AFFECT_CONFIG) < 0)
        return libvirt_error(err, "machine '%s': note in its metadata that it was started",
                             virDomainGetName(domain));
    return 0;
}

/* ---- undo ---- */

int
libvirt_domain_undo(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    auto_domain virDomainPtr domain = NULL;
    if (find(conn, request, &domain, err) < 0)
        return -1;
    if (!domain)
        return 0;
    if (read_look(domain, request->id, &request->look, err) < 0)
        return -1;
    if (!request->look.ours)
        return 0;
    if (request->look.running)
        return err_set(err, ERR_CONFLICT, "machine '%s': runs, so it stays defined: shut it down",
                       request->name);
    if (libvirt_call_wanted(request, err) < 0)
        return -1;
    if (virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_NVRAM) < 0)
        return libvirt_error(err, "machine '%s': undefine it", request->name);
    return 0;
}
