#include "descriptor/ovf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "descriptor/href.h"
#include "descriptor/number.h"
#include "descriptor/osid.h"
#include "descriptor/ovf-hardware.h"
#include "wire/xml.h"

static int check_envelope(const struct xml_node *root, struct err *err);
static int read_files(const struct xml_node *root, struct ovf *ovf, struct err *err);
static int read_file(const struct xml_node *node, struct ovf_file *file, struct err *err);
static int find_system(const struct xml_node *root, const struct xml_node **ret_system,
                       struct err *err);
static const char *find_configuration(const struct xml_node *root);
static int read_identity(const struct ovf_scope *scope, struct err *err);
static const char *system_name(const struct xml_node *system);
static int read_guest_os(const struct ovf_scope *scope, struct err *err);

/* 1.x, oVirt's spelling of it, 2.x, and two drafts. */
static const char *const envelope_namespaces[] = {
    "http://schemas.dmtf.org/ovf/envelope/1",      "http://schemas.dmtf.org/ovf/envelope/1/",
    "http://schemas.dmtf.org/ovf/envelope/2",      "http://schemas.dmtf.org/ovf/1/envelope",
    "http://www.vmware.com/schema/ovf/1/envelope",
};

int
ovf_parse(const char *text, size_t len, const char *name, struct vm *vm, struct ovf *ret_ovf,
          struct err *err)
{
    auto_xml_doc struct xml_doc *doc = NULL;
    if (xml_parse(text, len, name, &doc, err) < 0)
        return -1;
    auto_ovf struct ovf ovf = { 0 };
    const struct xml_node *root = xml_root(doc);
    struct ovf_scope scope = {
        .disks = ovf_child(root, "DiskSection"),
        .configuration = find_configuration(root),
        .ovf = &ovf,
        .vm = vm,
    };
    if (check_envelope(root, err) < 0 || read_files(root, &ovf, err) < 0 ||
        find_system(root, &scope.system, err) < 0)
        return err_prefix(err, "%s", name);
    scope.hardware = ovf_child(scope.system, "VirtualHardwareSection");
    if (!scope.hardware)
        return err_set(err, ERR_INVALID, "%s: the machine has no VirtualHardwareSection", name);
    if (read_identity(&scope, err) < 0 || ovf_read_hardware(&scope, err) < 0)
        return err_prefix(err, "%s", name);
    *ret_ovf = ovf;
    ovf = (struct ovf){ 0 };
    return 0;
}

static int
check_envelope(const struct xml_node *root, struct err *err)
{
    if (strcmp(root->name, "Envelope") != 0)
        return err_set(err, ERR_INVALID,
                       "not an OVF descriptor: it is a <%.60s>, not an <Envelope>", root->name);
    for (size_t i = 0; i < ARRAY_LEN(envelope_namespaces); i++)
        if (strcmp(root->ns, envelope_namespaces[i]) == 0)
            return 0;
    return err_set(err, ERR_INVALID,
                   "not an OVF descriptor that is known: its namespace is '%.120s'", root->ns);
}

static int
read_files(const struct xml_node *root, struct ovf *ovf, struct err *err)
{
    const struct xml_node *references = xml_child(root, "References");
    size_t n = 0;
    for (const struct xml_node *f = xml_child(references, "File"); f; f = xml_next(f, "File"))
        n++;
    if (n > OVF_MAX_FILES)
        return err_set(err, ERR_INVALID, "more than %d files", OVF_MAX_FILES);
    ovf->files = calloc(n + 1, sizeof *ovf->files);
    if (!ovf->files)
        return err_errno(err, ENOMEM, "%zu files", n);
    for (const struct xml_node *f = xml_child(references, "File"); f; f = xml_next(f, "File"))
        if (read_file(f, &ovf->files[ovf->n_files++], err) < 0)
            return err_prefix(err, "line %u", f->line);
    return 0;
}

static int
read_file(const struct xml_node *node, struct ovf_file *file, struct err *err)
{
    const char *id = xml_attr(node, "id"), *href = xml_attr(node, "href");
    const char *size = xml_attr(node, "size"), *chunk = xml_attr(node, "chunkSize");
    const char *compression = xml_attr(node, "compression");
    if (!id || !href)
        return err_set(err, ERR_INVALID, "a File without an id or href");
    if (href_decode(href, &file->name, err) < 0)
        return -1;
    file->id = strdup(id);
    if (!file->id)
        return err_errno(err, ENOMEM, "a file");
    if (size && number_read_max(size, "File size", INT64_MAX, &file->bytes, err) < 0)
        return -1;
    if (chunk && number_read_max(chunk, "File chunkSize", INT64_MAX, &file->chunk_bytes, err) < 0)
        return -1;
    if (!compression || !*compression || strcasecmp(compression, "identity") == 0)
        return 0;
    if (strcasecmp(compression, "gzip") != 0)
        return err_set(err, ERR_INVALID,
                       "%.200s is compressed by '%.60s': only gzip is read; unpack it and take the "
                       "compression attribute away",
                       file->name, compression);
    file->gzip = true;
    return 0;
}

/* Systems may be nested in collections. */
struct search {
    const struct xml_node *found;
    size_t n;
    char names[256];
};

static void
search_systems(const struct xml_node *node, struct search *search)
{
    for (const struct xml_node *child = xml_child(node, NULL); child;
         child = xml_next(child, NULL)) {
        if (ovf_is_kind(child, "VirtualSystemCollection")) {
            search_systems(child, search);
        } else if (ovf_is_kind(child, "VirtualSystem")) {
            const char *name = system_name(child);
            size_t len = strlen(search->names);
            snprintf(search->names + len, sizeof search->names - len, "%s'%.60s'", len ? ", " : "",
                     name ? name : "");
            search->found = child;
            search->n++;
        }
    }
}

static int
find_system(const struct xml_node *root, const struct xml_node **ret_system, struct err *err)
{
    struct search search = { 0 };
    search_systems(root, &search);
    if (search.n == 0)
        return err_set(err, ERR_INVALID, "no VirtualSystem in it");
    if (search.n > 1)
        return err_set(err, ERR_INVALID,
                       "%zu machines in one package (%s): export each into a package of its own",
                       search.n, search.names);
    *ret_system = search.found;
    return 0;
}

/* DSP0243 9.8: the default one, or the first. */
static const char *
find_configuration(const struct xml_node *root)
{
    const struct xml_node *first =
        xml_child(ovf_child(root, "DeploymentOptionSection"), "Configuration");
    for (const struct xml_node *c = first; c; c = xml_next(c, "Configuration"))
        if (number_is_true(xml_attr(c, "default")))
            return xml_attr(c, "id");
    return xml_attr(first, "id");
}

static const char *
system_name(const struct xml_node *system)
{
    const char *name = xml_text_at(system, "Name");
    if (!name || !*name)
        name = xml_text_at(ovf_child(system, "VirtualHardwareSection"),
                           "System/VirtualSystemIdentifier");
    if (!name || !*name)
        name = xml_attr(system, "id");
    return name;
}

static int
read_identity(const struct ovf_scope *scope, struct err *err)
{
    struct vm *vm = scope->vm;
    if (vm_set_name(vm, system_name(scope->system), err) < 0)
        return -1;
    const char *note = xml_text_at(ovf_child(scope->system, "AnnotationSection"), "Annotation");
    if (!note)
        note = xml_text_at(scope->system, "Description");
    if (vm_set_text(&vm->description, note, err) < 0)
        return -1;
    /* oVirt and VirtualBox keep the machine's UUID; elsewhere the id is just a word. */
    const char *places[] = { xml_attr(scope->system, "id"),
                             xml_attr(xml_child(scope->system, "Machine"), "uuid") };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char uuid[VM_UUID_MAX];
        struct err none;
        if (places[i] && vm_uuid_parse(places[i], uuid, &none) == 0 &&
            vm_set_text(&vm->uuid, uuid, err) < 0)
            return -1;
    }
    return read_guest_os(scope, err);
}

static int
read_guest_os(const struct ovf_scope *scope, struct err *err)
{
    const struct xml_node *section = ovf_child(scope->system, "OperatingSystemSection");
    const char *type = xml_attr(section, "osType"); /* vmw:osType="debian12_64Guest" */
    if (!type)
        type = xml_text_at(section, "OSType"); /* <vbox:OSType>Debian_64</vbox:OSType> */
    char id[OSID_MAX];
    if (!type || !osid_from_vmware(type, id))
        return 0;
    return vm_set_text(&scope->vm->osinfo, id, err);
}

bool
ovf_is_kind(const struct xml_node *node, const char *kind)
{
    if (strcmp(node->name, kind) == 0)
        return true;
    if (strcmp(node->name, "Section") != 0 && strcmp(node->name, "Content") != 0)
        return false;
    const char *type = xml_attr(node, "type");
    if (!type)
        return false;
    const char *colon = strchr(type, ':');
    type = colon ? colon + 1 : type;
    size_t len = strlen(kind);
    return strncmp(type, kind, len) == 0 && strcmp(type + len, "_Type") == 0;
}

const struct xml_node *
ovf_child(const struct xml_node *node, const char *kind)
{
    const struct xml_node *child = xml_child(node, NULL);
    return !child || ovf_is_kind(child, kind) ? child : ovf_next(child, kind);
}

const struct xml_node *
ovf_next(const struct xml_node *node, const char *kind)
{
    do
        node = xml_next(node, NULL);
    while (node && !ovf_is_kind(node, kind));
    return node;
}

void
ovf_free(struct ovf *ovf)
{
    for (size_t i = 0; i < ovf->n_files; i++) {
        free(ovf->files[i].id);
        free(ovf->files[i].name);
    }
    free(ovf->files);
    *ovf = (struct ovf){ 0 };
}
