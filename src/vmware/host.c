#include "vmware/host.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "vmware/names.h"

static const char *const host_paths[] = {
    "name",
    "parent",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "runtime.powerState",
    "summary.config.product.fullName",
    "summary.config.product.version",
    "summary.config.product.build",
    "summary.config.sslThumbprint",
    NULL,
};

struct listing {
    struct names *names;
    int (*each)(const struct vmware_host *host, void *arg, struct err *err);
    void *arg;
};

static int
on_host(const struct object *object, void *arg, struct err *err)
{
    const struct listing *listing = arg;
    struct vmware_host host = { .in_maintenance =
                                    object_bool(object, "runtime.inMaintenanceMode") };
    char path[NAMES_PATH_MAX] = "";
    const struct xml_node *parent = object_get(object, "parent");
    const struct entity *datacenter = names_datacenter(listing->names, parent ? parent->text : "");
    auto_texts struct vmware_texts *texts = texts_new(err);
    if (!texts)
        return -1;
    if (datacenter)
        names_path(listing->names, datacenter->moref, path);
    const struct {
        const char *text, **to;
    } wanted[] = {
        { object->moref, &host.moref },
        { object_text(object, "name"), &host.name },
        { object_text(object, "runtime.connectionState"), &host.connection },
        { object_text(object, "runtime.powerState"), &host.power },
        { object_text(object, "summary.config.product.fullName"), &host.full_name },
        { object_text(object, "summary.config.product.version"), &host.version },
        { object_text(object, "summary.config.product.build"), &host.build },
        { object_text(object, "summary.config.sslThumbprint"), &host.ssl_thumbprint },
        { path, &host.datacenter_path },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (texts_add(texts, wanted[i].text ? wanted[i].text : "", wanted[i].to, err) < 0)
            return -1;
    host.connected = strcmp(host.connection, "connected") == 0;
    return listing->each(&host, listing->arg, err);
}

int
vmware_hosts(struct vmware_session *session, const char *moref,
             int (*each)(const struct vmware_host *host, void *arg, struct err *err), void *arg,
             struct err *err)
{
    auto_names struct names *names = NULL;
    struct listing listing = { .each = each, .arg = arg };
    struct property_set set = { "HostSystem", host_paths };
    struct ref ref = { "HostSystem", moref };
    if (names_new(session, &names, err) < 0)
        return -1;
    listing.names = names;
    if (!moref)
        return names_load(names, false, err) < 0
                   ? -1
                   : property_read_all(session, NULL, NULL, &set, 1, "list hosts", on_host,
                                       &listing, err);
    if (names_load_refs(names, &ref, 1, err) < 0)
        return -1;
    return property_read_list(session, &ref, 1, &set, 1, "look at a host", on_host, &listing, err);
}

int
vmware_licence(struct vmware_session *session, bool *ret_read_only, char ret_name[128],
               struct err *err)
{
    static const char *const paths[] = { "licenses", NULL };
    static const char free_edition[] = "esxBasic";
    auto_soap_reply struct soap_reply reply = { 0 };
    struct object object;
    *ret_read_only = false;
    if (ret_name)
        ret_name[0] = '\0';
    if (!*session->at.licences)
        return 0;
    if (property_read(session, "LicenseManager", session->at.licences, paths, "look at the licence",
                      &reply, &object, err) < 0)
        /* Not every user may see it. */
        return call_is_fault(session, "NoPermission") || err->kind == ERR_NOT_FOUND ? 0 : -1;
    const struct xml_node *licence = xml_child(object_get(&object, "licenses"), NULL);
    if (!licence)
        return 0;
    const char *edition = xml_text_at(licence, "editionKey");
    *ret_read_only = !session->about.vcenter && edition &&
                     strncmp(edition, free_edition, strlen(free_edition)) == 0;
    if (ret_name)
        text_take(ret_name, 128, xml_text_at(licence, "name"));
    return 0;
}
