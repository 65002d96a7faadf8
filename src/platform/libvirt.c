/* -o libvirt: the disks become files of a storage pool's directory, and the machine is defined in
 * libvirt. Where it is defined, all is there. */
#include "platform/libvirt.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "platform/files.h"
#include "platform/libvirt-call.h"
#include "platform/libvirt-domain.h"
#include "platform/libvirt-pool.h"
#include "platform/libvirt-xml.h"

#define XML_MAX_BYTES ((size_t)1 << 20)
#define ASK_LIMIT_NS (60 * NS_PER_S)
#define SURVEY_LIMIT_NS (20 * NS_PER_S)
/* A refresh reads the headers of all images of the pool; a start waits for QEMU, which takes its
 * guest's memory first. */
#define ACT_LIMIT_NS (300 * NS_PER_S)

static int talk_of(const struct placement *p, libvirt_talk_fn *talk, int64_t limit_ns,
                   struct libvirt_call **ret_call, struct err *err);
static int ask_kvm(virConnectPtr conn, bool *ret_kvm, struct err *err);

static int
host_find_dir(const struct placement *p, char **ret_dir, struct err *err)
{
    auto_libvirt_call struct libvirt_call *call = NULL;
    if (!p->host.pool)
        return err_set(err, ERR_BUG, "neither a pool nor a directory is named");
    if (talk_of(p, libvirt_pool_find_dir, ASK_LIMIT_NS, &call, err) < 0)
        return -1;
    *ret_dir = TAKE_PTR(libvirt_call_request(call)->found_dir);
    return 0;
}

static int
talk_of(const struct placement *p, libvirt_talk_fn *talk, int64_t limit_ns,
        struct libvirt_call **ret_call, struct err *err)
{
    auto_libvirt_call struct libvirt_call *call = NULL;
    if (libvirt_call_new(p->host.uri, p, &call, err) < 0 ||
        libvirt_call_run(call, limit_ns, talk, err) < 0)
        return -1;
    *ret_call = TAKE_PTR(call);
    return 0;
}

static int
host_check_dir(const struct placement *p, struct err *err)
{
    char what[2 * PATH_MAX];
    snprintf(what, sizeof what, "%s%s%s%s", p->host.pool ? "pool '" : "",
             p->host.pool ? p->host.pool : "", p->host.pool ? "': " : "", p->dir);
    return files_check_dir(p, what, err);
}

static int
check(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    if (request->pool && libvirt_pool_find_dir(conn, request, err) < 0)
        return -1;
    return libvirt_networks_check(conn, request, err) < 0
               ? -1
               : libvirt_domain_check(conn, request, err);
}

static int
host_check(const struct placement *p, struct err *err)
{
    auto_libvirt_call struct libvirt_call *call = NULL;
    return talk_of(p, check, ASK_LIMIT_NS, &call, err);
}

static int
has_kvm(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    return ask_kvm(conn, &request->kvm, err);
}

static int
host_has_kvm(const struct placement *p, bool *ret_kvm, struct err *err)
{
    auto_libvirt_call struct libvirt_call *call = NULL;
    if (talk_of(p, has_kvm, ASK_LIMIT_NS, &call, err) < 0)
        return -1;
    *ret_kvm = libvirt_call_request(call)->kvm;
    return 0;
}

static int
ask_kvm(virConnectPtr conn, bool *ret_kvm, struct err *err)
{
    auto_free char *capabilities = virConnectGetCapabilities(conn);
    if (!capabilities)
        return libvirt_error(err, "ask libvirt what its host can do");
    return libvirt_xml_has_kvm(capabilities, ret_kvm, err);
}

/* Without an id the machine could not be known as ours the next time. */
static int
host_define(const struct placement *p, struct err *err)
{
    auto_libvirt_call struct libvirt_call *call = NULL;
    if (!p->id)
        return err_set(err, ERR_BUG, "machine '%s': the migration has no id", p->name);
    if (libvirt_call_new(p->host.uri, p, &call, err) < 0 ||
        file_read(p->made_xml, XML_MAX_BYTES, &libvirt_call_request(call)->xml, NULL, err) < 0)
        return -1;
    return libvirt_call_run(call, ACT_LIMIT_NS, libvirt_domain_define, err);
}

static int
host_start(const struct placement *p, struct err *err)
{
    auto_libvirt_call struct libvirt_call *call = NULL;
    return talk_of(p, libvirt_domain_start, ACT_LIMIT_NS, &call, err);
}

static int
host_undo(const struct placement *p, struct err *err)
{
    auto_libvirt_call struct libvirt_call *call = NULL;
    return talk_of(p, libvirt_domain_undo, ASK_LIMIT_NS, &call, err);
}

static int
host_look(const struct placement *p, struct platform_look *ret, struct err *err)
{
    auto_libvirt_call struct libvirt_call *call = NULL;
    if (talk_of(p, libvirt_domain_look, ASK_LIMIT_NS, &call, err) < 0)
        return -1;
    *ret = libvirt_call_request(call)->look;
    return 0;
}

const struct platform platform_libvirt = {
    .name = "libvirt",
    .keeps = true,
    .mark_ns = LIBVIRT_METADATA_NS,
    .find_dir = host_find_dir,
    .check_dir = host_check_dir,
    .check_names = files_check_disks,
    .check = host_check,
    .has_kvm = host_has_kvm,
    .place = files_place_disks,
    .take_back = files_take_back_disks,
    .define = host_define,
    .start = host_start,
    .undo = host_undo,
    .look = host_look,
};

/* ---- for a doctor ---- */

static int
survey(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    struct libvirt_survey *s = &request->survey;
    if (virConnectGetLibVersion(conn, &s->version) < 0 ||
        virConnectGetVersion(conn, &s->driver_version) < 0)
        return libvirt_error(err, "ask libvirt for its version");
    s->uri = strdup(request->uri);
    if (!s->uri)
        return err_errno(err, ENOMEM, "libvirt");
    return ask_kvm(conn, &s->kvm, err) < 0 ? -1 : libvirt_pool_survey(conn, s, err);
}

int
libvirt_survey_make(const char *uri, struct libvirt_survey *ret, struct err *err)
{
    auto_libvirt_call struct libvirt_call *call = NULL;
    if (libvirt_call_new(uri, NULL, &call, err) < 0 ||
        libvirt_call_run(call, SURVEY_LIMIT_NS, survey, err) < 0)
        return -1;
    struct libvirt_request *request = libvirt_call_request(call);
    *ret = request->survey;
    request->survey = (struct libvirt_survey){ .n_pools = 0 };
    return 0;
}
