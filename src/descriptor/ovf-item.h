/* The items of a VirtualHardwareSection, as a list and field by field. */
#ifndef DESCRIPTOR_OVF_ITEM_H
#define DESCRIPTOR_OVF_ITEM_H

#include "descriptor/ovf-hardware.h"

/* CIM_ResourceAllocationSettingData.ResourceType */
enum {
    OVF_CPU = 3,
    OVF_MEMORY = 4,
    OVF_IDE = 5,
    OVF_SCSI = 6,
    OVF_ETHERNET = 10,
    OVF_CD = 15,
    OVF_DVD = 16,
    OVF_DISK = 17,
    OVF_OTHER_STORAGE = 20, /* SATA and NVMe controllers */
};

struct ovf_items {
    size_t n;
    const struct xml_node *nodes[OVF_MAX_ITEMS];
};

/* Those that apply: of the configuration that is taken, and no bounds of a range. */
int ovf_collect_items(const struct ovf_scope *scope, struct ovf_items *items, struct err *err);

/* Text of a field, "" when it is missing. */
const char *ovf_item_text(const struct xml_node *item, const char *field);

/* Its ResourceType; 0 when it has none. */
unsigned ovf_item_type(const struct xml_node *item);

/* Its InstanceID ("" none); OVF 0.9 spells it InstanceId. */
const char *ovf_item_id(const struct xml_node *item);

#endif
