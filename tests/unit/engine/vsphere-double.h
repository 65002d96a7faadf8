/* A vSphere for tests: the calls of vmware/ that inventory and check make, answered from lists. */
#ifndef TESTS_VSPHERE_DOUBLE_H
#define TESTS_VSPHERE_DOUBLE_H

#include <stdio.h>
#include <string.h>

#include "engine/endpoint.h"
#include "engine/reach.h"
#include "engine/talk.h"
#include "engine/vddk-library.h"
#include "vmware/find.h"
#include "vmware/host.h"
#include "vmware/inventory.h"
#include "vmware/privilege.h"

#define DOUBLE_MAX 16

static struct {
    bool vcenter;
    size_t n_summaries; /* made up: web00001 ... */
    size_t n_machines;
    struct vmware_machine *machines[DOUBLE_MAX];
    size_t n_hosts;
    struct vmware_host hosts[DOUBLE_MAX];
    const char *lacking; /* privileges, by spaces */
    bool cannot_tell;    /* what the user may do */
    bool read_only;      /* the licence */
    bool no_vddk;
    unsigned closed_port;     /* does not answer */
    const char *unknown_host; /* does not resolve */
    unsigned n_resolved;      /* how often a name was asked for */
    int vanish;               /* this one of the machines is gone when it is read; -1: none */
    int odd;                  /* this one's configuration makes no sense; -1: none */
    int hidden;               /* this one may not be seen; -1: none */
    const char *fault;        /* the last */
    unsigned cancel_after;    /* so many questions; 0: never */
    unsigned n_asked;
    json_t *said;
} vsphere;

/* ---- talk ---- */

static void
double_say(json_t *message, void *arg)
{
    (void)arg;
    assert_non_null(message);
    assert_true(json_dumpb(message, NULL, 0, JSON_COMPACT) < 65536);
    json_array_append_new(vsphere.said, message);
}

static bool
double_cancelled(void *arg)
{
    (void)arg;
    return vsphere.cancel_after && ++vsphere.n_asked > vsphere.cancel_after;
}

static const struct talk double_talk = { .say = double_say, .cancelled = double_cancelled };

static int
double_setup(void **state)
{
    (void)state;
    memset(&vsphere, 0, sizeof vsphere);
    vsphere.vcenter = true;
    vsphere.vanish = vsphere.odd = vsphere.hidden = -1;
    vsphere.fault = "";
    vsphere.said = json_array();
    return vsphere.said ? 0 : -1;
}

static int
double_teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < vsphere.n_machines; i++) {
        vm_free(vsphere.machines[i]->vm);
        free(vsphere.machines[i]);
    }
    json_decref(vsphere.said);
    return 0;
}

/* What was said of this type, from the nth-th on; NULL: no more. */
static json_t *
double_said(const char *type, size_t nth)
{
    size_t i;
    json_t *message;
    json_array_foreach (vsphere.said, i, message)
        if (strcmp(json_get_str(message, "type", ""), type) == 0 && nth-- == 0)
            return message;
    return NULL;
}

/* ---- session ---- */

int
endpoint_login(const json_t *endpoint, bool (*cancelled)(void *arg), void *arg,
               struct vmware_session **ret, struct err *err)
{
    (void)cancelled;
    (void)arg;
    if (!json_is_object(endpoint))
        return err_set(err, ERR_INVALID, "no endpoint");
    *ret = (struct vmware_session *)&vsphere;
    return 0;
}

void
vmware_logout(struct vmware_session *session)
{
    (void)session;
}

const struct vmware_about *
vmware_about(const struct vmware_session *session)
{
    static const struct vmware_about about = { .full_name = "VMware vCenter Server 8.0.3" };
    (void)session;
    return &about;
}

bool
vmware_is_vcenter(const struct vmware_session *session)
{
    (void)session;
    return vsphere.vcenter;
}

const char *
vmware_endpoint(const struct vmware_session *session)
{
    (void)session;
    return "vc:443";
}

const char *
vmware_last_fault(const struct vmware_session *session)
{
    (void)session;
    return vsphere.fault;
}

/* ---- machines ---- */

static int
give_made_up(int (*each)(const struct vmware_summary *summary, void *arg, struct err *err),
             void *arg, struct err *err)
{
    for (size_t i = 1; i <= vsphere.n_summaries; i++) {
        char moref[32], name[64], path[128];
        snprintf(moref, sizeof moref, "vm-%zu", i);
        snprintf(name, sizeof name, "web%05zu", i);
        snprintf(path, sizeof path, "/DC0/vm/prod/web%05zu", i);
        struct vmware_summary s = {
            .moref = moref,
            .name = name,
            .path = path,
            .datacenter_path = "/DC0",
            .uuid = "422c6a2a-5ea9-1083-39f3-3b140fffb444",
            .instance_uuid = "502c1f0e-8a5b-4d0a-9a3f-0d3f5d5ac001",
            .guest = "Debian GNU/Linux 12 (64-bit)",
            .host_name = "esx1.lab",
            .power = i % 2 ? VMWARE_POWERED_ON : VMWARE_POWERED_OFF,
            .config_present = true,
            .n_cpus = 2,
            .memory_bytes = (uint64_t)1 << 30,
            .hw_version = 19,
            .n_disks = 1,
            .capacity_bytes = (uint64_t)16 << 30,
        };
        if (each(&s, arg, err) < 0)
            return -1;
    }
    return 0;
}

int
vmware_inventory(struct vmware_session *session, const struct vmware_inventory_options *options,
                 int (*each)(const struct vmware_summary *summary, void *arg, struct err *err),
                 void *arg, struct err *err)
{
    (void)session;
    (void)options;
    for (size_t i = 0; i < vsphere.n_machines; i++) {
        const struct vmware_machine *m = vsphere.machines[i];
        struct vmware_summary s = { .moref = m->moref,
                                    .name = m->name,
                                    .path = m->path,
                                    .power = m->power,
                                    .template = m->template };
        if (each(&s, arg, err) < 0)
            return -1;
    }
    return give_made_up(each, arg, err);
}

static inline struct vmware_machine *
double_find(const char *moref)
{
    for (size_t i = 0; i < vsphere.n_machines; i++)
        if ((int)i != vsphere.vanish && strcmp(vsphere.machines[i]->moref, moref) == 0)
            return vsphere.machines[i];
    return NULL;
}

int
vmware_machine_read(struct vmware_session *session, const char *moref, const char *snapshot,
                    struct vmware_machine **ret, struct err *err)
{
    (void)session;
    (void)snapshot;
    *ret = double_find(moref);
    vsphere.fault = "";
    if (vsphere.odd >= 0 && *ret == vsphere.machines[vsphere.odd])
        return err_set(err, ERR_INVALID, "%s: 0 processors", moref);
    if (vsphere.hidden >= 0 && *ret == vsphere.machines[vsphere.hidden]) {
        vsphere.fault = "NoPermission";
        return err_set(err, ERR_DENIED, "%s: may not be seen", moref);
    }
    return *ret ? 0 : err_set(err, ERR_NOT_FOUND, "%s: is gone", moref);
}

void
vmware_machine_free(struct vmware_machine *machine)
{
    (void)machine;
}

int
vmware_find(struct vmware_session *session, const char *query, const char *datacenter_path,
            struct vmware_found *ret, struct err *err)
{
    (void)session;
    (void)datacenter_path;
    size_t n = 0;
    for (size_t i = 0; i < vsphere.n_machines; i++)
        if (strcmp(vsphere.machines[i]->name, query) == 0) {
            snprintf(ret->moref, sizeof ret->moref, "%s", vsphere.machines[i]->moref);
            n++;
        }
    if (n > 1)
        return err_set(err, ERR_CONFLICT, "%s: several machines have this name", query);
    return n ? 0 : err_set(err, ERR_NOT_FOUND, "%s: no such machine", query);
}

void
vmware_found_free(struct vmware_found *found)
{
    (void)found;
}

/* ---- around them ---- */

int
vmware_hosts(struct vmware_session *session, const char *moref,
             int (*each)(const struct vmware_host *host, void *arg, struct err *err), void *arg,
             struct err *err)
{
    (void)session;
    (void)moref;
    for (size_t i = 0; i < vsphere.n_hosts; i++)
        if (each(&vsphere.hosts[i], arg, err) < 0)
            return -1;
    return 0;
}

int
vmware_licence(struct vmware_session *session, bool *ret_read_only, char ret_name[128],
               struct err *err)
{
    (void)session;
    (void)ret_name;
    (void)err;
    *ret_read_only = vsphere.read_only;
    return 0;
}

int
vmware_privileges_missing(struct vmware_session *session, const char *type, const char *moref,
                          const char *const *ids, bool *ret_missing, struct err *err)
{
    (void)session;
    (void)type;
    (void)moref;
    if (vsphere.cannot_tell)
        return err_set(err, ERR_UNAVAILABLE, "cannot tell");
    for (size_t i = 0; ids[i]; i++)
        ret_missing[i] = vsphere.lacking && strstr(vsphere.lacking, ids[i]);
    return 0;
}

int
reach_resolve(const char *host, struct reach_addresses *ret, struct err *err)
{
    vsphere.n_resolved++;
    ret->n = 1;
    if (vsphere.unknown_host && strcmp(host, vsphere.unknown_host) == 0)
        return err_set(err, ERR_NOT_FOUND, "%s: no such name", host);
    return 0;
}

int
reach_port(const char *host, const struct reach_addresses *addresses, unsigned port,
           int64_t limit_ns, struct err *err)
{
    (void)addresses;
    (void)limit_ns;
    if (port == vsphere.closed_port)
        return err_set(err, ERR_UNAVAILABLE, "%s:%u: refused", host, port);
    return 0;
}

int
vddk_library_find(const char *libdir, struct vddk_library *ret, struct err *err)
{
    (void)libdir;
    (void)ret;
    return vsphere.no_vddk ? err_set(err, ERR_NOT_FOUND, "no VDDK") : 0;
}

#endif
