#include "platform/libvirt-xml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "wire/xml.h"

static int copy(const char *text, char **ret, struct err *err);

int
libvirt_xml_has_kvm(const char *capabilities, bool *ret_kvm, struct err *err)
{
    auto_xml_doc struct xml_doc *doc = NULL;
    bool kvm = false;
    if (xml_parse(capabilities, strlen(capabilities), "libvirt's capabilities", &doc, err) < 0)
        return -1;
    const struct xml_node *guest = xml_child(xml_root(doc), "guest");
    for (; guest; guest = xml_next(guest, "guest")) {
        const char *arch = xml_attr_at(guest, "arch", "name");
        if (!arch || strcmp(arch, "x86_64") != 0)
            continue;
        const struct xml_node *domain = xml_find(guest, "arch/domain");
        for (; domain; domain = xml_next(domain, "domain")) {
            const char *type = xml_attr(domain, "type");
            kvm = kvm || (type && strcmp(type, "kvm") == 0);
        }
    }
    *ret_kvm = kvm;
    return 0;
}

int
libvirt_xml_pool(const char *pool, char **ret_type, char **ret_dir, struct err *err)
{
    static const char *const of_files[] = { "dir", "fs", "netfs" };
    auto_xml_doc struct xml_doc *doc = NULL;
    auto_free char *type = NULL, *dir = NULL;
    if (xml_parse(pool, strlen(pool), "libvirt's description of a pool", &doc, err) < 0)
        return -1;
    const char *says = xml_attr(xml_root(doc), "type");
    const char *path = xml_text_at(xml_root(doc), "target/path");
    if (copy(says ? says : "", &type, err) < 0)
        return -1;
    for (size_t i = 0; path && *path == '/' && i < ARRAY_LEN(of_files); i++)
        if (strcmp(type, of_files[i]) == 0 && copy(path, &dir, err) < 0)
            return -1;
    *ret_type = TAKE_PTR(type);
    *ret_dir = TAKE_PTR(dir);
    return 0;
}

static int
copy(const char *text, char **ret, struct err *err)
{
    *ret = strdup(text);
    return *ret ? 0 : err_errno(err, ENOMEM, "libvirt");
}

int
libvirt_xml_mark(const char *element, struct libvirt_mark *ret, struct err *err)
{
    auto_xml_doc struct xml_doc *doc = NULL;
    if (xml_parse(element, strlen(element), "a machine's metadata", &doc, err) < 0)
        return -1;
    const char *id = xml_attr(xml_root(doc), "id"), *started = xml_attr(xml_root(doc), "started");
    *ret = (struct libvirt_mark){ .started = started && strcmp(started, "yes") == 0 };
    if (id && strlen(id) < sizeof ret->id)
        snprintf(ret->id, sizeof ret->id, "%s", id);
    return 0;
}
