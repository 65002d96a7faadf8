#include "descriptor/ovf-item.h"

#include <string.h>

#include "descriptor/number.h"

static bool is_item(const struct xml_node *node);
static bool in_configuration(const char *list, const char *configuration);
static bool is_overridden(const struct ovf_scope *scope, const struct xml_node *item);

int
ovf_collect_items(const struct ovf_scope *scope, struct ovf_items *items, struct err *err)
{
    size_t seen = 0;
    for (const struct xml_node *node = xml_child(scope->hardware, NULL); node;
         node = xml_next(node, NULL)) {
        if (!is_item(node))
            continue;
        if (++seen > OVF_MAX_ITEMS)
            return err_set(err, ERR_INVALID, "more than %d hardware items", OVF_MAX_ITEMS);
        const char *bound = xml_attr(node, "bound");
        if (bound && strcmp(bound, "normal") != 0)
            continue;
        const char *list = xml_attr(node, "configuration");
        if (list ? in_configuration(list, scope->configuration) : !is_overridden(scope, node))
            items->nodes[items->n++] = node;
    }
    return 0;
}

/* OVF 2.0 has two more kinds, with the same fields in other namespaces. */
static bool
is_item(const struct xml_node *node)
{
    return strcmp(node->name, "Item") == 0 || strcmp(node->name, "StorageItem") == 0 ||
           strcmp(node->name, "EthernetPortItem") == 0;
}

/* list: ids separated by space. */
static bool
in_configuration(const char *list, const char *configuration)
{
    size_t len = configuration ? strlen(configuration) : 0;
    while (len > 0 && *list) {
        list += strspn(list, " \t\r\n");
        size_t word = strcspn(list, " \t\r\n");
        if (word == len && strncmp(list, configuration, len) == 0)
            return true;
        list += word;
    }
    return false;
}

/* DSP0243 8.4: an item of the chosen configuration replaces the general one with its id. */
static bool
is_overridden(const struct ovf_scope *scope, const struct xml_node *item)
{
    const char *id = ovf_item_id(item);
    if (!scope->configuration || !*id)
        return false;
    for (const struct xml_node *other = xml_child(scope->hardware, NULL); other;
         other = xml_next(other, NULL)) {
        const char *list = is_item(other) ? xml_attr(other, "configuration") : NULL;
        if (list && strcmp(ovf_item_id(other), id) == 0 &&
            in_configuration(list, scope->configuration))
            return true;
    }
    return false;
}

const char *
ovf_item_text(const struct xml_node *item, const char *field)
{
    const char *text = xml_text_at(item, field);
    return text ? text : "";
}

unsigned
ovf_item_type(const struct xml_node *item)
{
    uint64_t type;
    struct err none;
    return number_read_max(xml_text_at(item, "ResourceType"), "", 65535, &type, &none) < 0
               ? 0
               : (unsigned)type;
}

const char *
ovf_item_id(const struct xml_node *item)
{
    const char *id = xml_text_at(item, "InstanceID");
    return id ? id : ovf_item_text(item, "InstanceId");
}
