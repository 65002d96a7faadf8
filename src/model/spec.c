#include "model/spec.h"

#include <stdlib.h>
#include <string.h>

#include "model/spec-fields.h"

static int read_several(const struct field_reading *reading, const struct yaml_node *root,
                        const struct yaml_node *vms, struct spec_list *list, struct err *err);
static int read_one(const struct field_reading *reading, const struct yaml_node *node,
                    struct spec_list *list, struct err *err);
static int check_spec(const struct field_reading *reading, const struct yaml_node *node,
                      const struct spec *spec, struct err *err);

int
spec_read(const char *text, size_t len, const char *name, bool lenient, struct spec_list *ret,
          struct err *err)
{
    auto_yaml struct yaml_node *root = NULL;
    auto_spec_list struct spec_list list = { 0 };
    const struct field_reading reading = { name, lenient, &list.warnings };
    if (yaml_tree_read(text, len, name, &root, err) < 0)
        return -1;
    const struct yaml_node *vms = yaml_tree_get(root, "vms");
    int result = vms && !yaml_node_is_null(vms) ? read_several(&reading, root, vms, &list, err)
                                                : read_one(&reading, root, &list, err);
    if (result < 0)
        return -1;
    *ret = list;
    list = (struct spec_list){ 0 };
    return 0;
}

/* The form with `vms:`, beside which nothing else counts. */
static int
read_several(const struct field_reading *reading, const struct yaml_node *root,
             const struct yaml_node *vms, struct spec_list *list, struct err *err)
{
    if (vms->kind != YAML_LIST)
        return err_set(err, ERR_INVALID, "%s:%u: vms: a list of specs belongs here", reading->name,
                       vms->line);
    if (vms->n == 0)
        return err_set(err, ERR_INVALID, "%s:%u: vms: no machine in the list", reading->name,
                       vms->line);
    for (const struct yaml_node *entry = root->first; entry; entry = entry->next) {
        if (entry == vms)
            continue;
        struct err beside = ERR_INIT;
        err_set(&beside, ERR_INVALID,
                "%s:%u: unknown key '%.80s' beside 'vms' (it belongs into each of its entries)",
                reading->name, entry->line, entry->key);
        if (!reading->lenient) {
            *err = beside;
            return -1;
        }
        if (text_list_add(reading->warnings, beside.text, err) < 0)
            return -1;
    }
    if (vms->n > SPEC_MAX_SPECS)
        return err_set(err, ERR_INVALID, "%s:%u: vms: %zu machines; %d are the most", reading->name,
                       vms->line, vms->n, SPEC_MAX_SPECS);
    for (const struct yaml_node *entry = vms->first; entry; entry = entry->next)
        if (read_one(reading, entry, list, err) < 0)
            return -1;
    return 0;
}

static int
read_one(const struct field_reading *reading, const struct yaml_node *node, struct spec_list *list,
         struct err *err)
{
    struct spec *items = reallocarray(list->items, list->n + 1, sizeof *items);
    if (!items)
        return err_set(err, ERR_UNAVAILABLE, "%s: no memory", reading->name);
    list->items = items;
    struct spec *spec = &items[list->n++];
    *spec = (struct spec){ .line = node->line };
    if (field_read(spec_fields, reading, node, spec, err) < 0)
        return -1;
    return check_spec(reading, node, spec, err);
}

/* What a spec must be that no single field can say. */
static int
check_spec(const struct field_reading *reading, const struct yaml_node *node,
           const struct spec *spec, struct err *err)
{
    const struct yaml_node *vm = yaml_tree_get(node, "vm");
    const struct yaml_node *target = yaml_tree_get(node, "target");
    const struct yaml_node *conversion = yaml_tree_get(node, "conversion");
    const struct spec_target *has = &spec->target;
    if (!spec_machine(spec))
        return err_set(err, ERR_INVALID,
                       "%s:%u: no machine is named: write its name, moref, uuid or path under 'vm'",
                       reading->name, vm ? vm->line : node->line);
    if (has->has_cloudstack + has->has_kubevirt + has->has_libvirt + has->has_files > 1)
        return err_set(err, ERR_INVALID,
                       "%s:%u: target: more than one target; a spec moves a machine to one place",
                       reading->name, target->line);
    if (has->has_files && !has->files.directory)
        return err_set(err, ERR_INVALID, "%s:%u: target.files: directory is missing", reading->name,
                       yaml_tree_get(target, "files")->line);
    enum tristate old = spec->migration.run_virt_v2v, new = spec->conversion.run_virt_v2v;
    if (old && new &&old != new)
        return err_set(err, ERR_INVALID,
                       "%s:%u: conversion.run_virt_v2v: migration.run_virt_v2v says the contrary: "
                       "leave one out",
                       reading->name, yaml_tree_get(conversion, "run_virt_v2v")->line);
    return 0;
}

void
spec_free(struct spec *spec)
{
    field_free(spec_fields, spec);
}

void
spec_list_free(struct spec_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        spec_free(&list->items[i]);
    free(list->items);
    text_list_free(&list->warnings);
    *list = (struct spec_list){ 0 };
}

int
spec_write_json(const struct spec *spec, struct buf *buf, struct err *err)
{
    return field_write(spec_fields, spec, FIELD_JSON, buf, err);
}

int
spec_write_yaml(const struct spec *spec, struct buf *buf, struct err *err)
{
    return field_write(spec_fields, spec, FIELD_YAML, buf, err);
}

const char *
spec_machine(const struct spec *spec)
{
    const struct spec_vm *vm = &spec->vm;
    return vm->moref ? vm->moref : vm->uuid ? vm->uuid : vm->path ? vm->path : vm->name;
}

enum spec_target_kind
spec_target_kind(const struct spec *spec)
{
    const struct spec_target *has = &spec->target;
    return has->has_cloudstack ? SPEC_TARGET_CLOUDSTACK
           : has->has_kubevirt ? SPEC_TARGET_KUBEVIRT
           : has->has_libvirt  ? SPEC_TARGET_LIBVIRT
           : has->has_files    ? SPEC_TARGET_FILES
                               : SPEC_TARGET_UNSET;
}

const char *
spec_target_name(enum spec_target_kind kind)
{
    static const char *const names[] = {
        [SPEC_TARGET_CLOUDSTACK] = "cloudstack",
        [SPEC_TARGET_KUBEVIRT] = "kubevirt",
        [SPEC_TARGET_LIBVIRT] = "libvirt",
        [SPEC_TARGET_FILES] = "files",
    };
    return names[kind];
}

/* Of a list of choices, whose numbers begin with 1. */
static const char *
choice_name(const char *const *names, unsigned choice)
{
    return choice ? names[choice - 1] : NULL;
}

const char *
spec_transport_name(enum spec_transport transport)
{
    return choice_name(spec_transport_names, transport);
}

const char *
spec_mode_name(enum spec_mode mode)
{
    return choice_name(spec_mode_names, mode);
}

const char *
spec_quiesce_name(enum spec_quiesce quiesce)
{
    return choice_name(spec_quiesce_names, quiesce);
}

const char *
spec_shutdown_name(enum spec_shutdown shutdown)
{
    return choice_name(spec_shutdown_names, shutdown);
}

const char *
spec_verify_name(enum spec_verify verify)
{
    return choice_name(spec_verify_names, verify);
}
