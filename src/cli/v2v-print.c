#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cli/v2v.h"

static const char *
text_of(const json_t *obj, const char *key)
{
    return json_get_str(obj, key, "");
}

static void
print_disks(const json_t *disks)
{
    size_t i;
    json_t *disk;
    printf("disks:\n");
    json_array_foreach (disks, i, disk) {
        char size[SIZE_TEXT_MAX] = "size unknown";
        uint64_t bytes = json_get_u64(disk, "capacity_bytes", 0);
        if (bytes)
            size_format(bytes, size);
        printf("\t%zu [%s] %s, %s: %s\n", i, text_of(disk, "address"), size,
               json_get_str(disk, "format", "format unknown"),
               json_get_str(disk, "path", "(empty)"));
    }
}

static void
print_nics(const json_t *nics)
{
    size_t i;
    json_t *nic;
    printf("NICs:\n");
    json_array_foreach (nics, i, nic) {
        const char *mac = text_of(nic, "mac"), *model = text_of(nic, "model");
        printf("\t%s \"%s\"%s%s%s%s%s\n",
               json_get_bool(nic, "bridge", false) ? "Bridge" : "Network", text_of(nic, "network"),
               *mac ? " mac: " : "", mac, *model ? " [" : "", model, *model ? "]" : "");
    }
}

void
v2v_print_source(const json_t *s)
{
    char memory[32], cpus[32], topology[80] = "";
    snprintf(memory, sizeof memory, "%" PRIu64, json_get_u64(s, "memory_bytes", 0));
    snprintf(cpus, sizeof cpus, "%" PRIu64, json_get_u64(s, "vcpus", 0));
    uint64_t sockets = json_get_u64(s, "sockets", 0);
    if (sockets)
        snprintf(topology, sizeof topology,
                 "sockets: %" PRIu64 " cores/socket: %" PRIu64 " threads/core: %" PRIu64, sockets,
                 json_get_u64(s, "cores", 0), json_get_u64(s, "threads", 0));
    printf("Source guest information (--print-source option):\n\n"
           "    source name: %s\n"
           "           UUID: %s\n"
           "       VM genid: %s\n"
           "         memory: %s (bytes)\n"
           "       nr vCPUs: %s\n"
           "      CPU model: %s\n"
           "   CPU topology: %s\n"
           "       firmware: %s%s\n",
           text_of(s, "name"), text_of(s, "uuid"), text_of(s, "genid"), memory, cpus,
           text_of(s, "cpu_model"), topology, text_of(s, "firmware"),
           json_get_bool(s, "secure_boot", false) ? " (secure boot)" : "");
    print_disks(json_object_get(s, "disks"));
    printf("removable media:\n\t%" PRIu64 " CD-ROM drives\n", json_get_u64(s, "cdroms", 0));
    print_nics(json_object_get(s, "nics"));
    printf("\n");
}
