#include "engine/facts.h"

#include <string.h>

#include "base/checked.h"

#define TEXT(name)                                                                                 \
    {                                                                                              \
#name, offsetof(struct guest_facts, name)                                                  \
    }
#define FLAG(name)                                                                                 \
    {                                                                                              \
#name, offsetof(struct guest_facts, name)                                                  \
    }

static const struct {
    const char *name;
    size_t offset;
} texts
    [] = { TEXT(distro), TEXT(product_name), TEXT(arch), TEXT(hostname), TEXT(osinfo), TEXT(root) },
    flags[] = { FLAG(has_esp),       FLAG(has_bios_boot), FLAG(gpt),       FLAG(uefi_fallback),
                FLAG(rtc_localtime), FLAG(virtio_block),  FLAG(virtio_net) };

json_t *
facts_to_json(const struct guest_facts *facts)
{
    json_t *json = json_pack("{s:i, s:i, s:i}", "type", (int)facts->type, "major", facts->major,
                             "minor", facts->minor);
    const char *base = (const char *)facts;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *text = *(char *const *)(base + texts[i].offset);
        if (text)
            json_object_set_new(json, texts[i].name, json_string(text));
    }
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        json_object_set_new(json, flags[i].name,
                            json_boolean(*(const bool *)(base + flags[i].offset)));
    return json;
}

bool
facts_from_json(const json_t *json, struct guest_facts *ret_facts)
{
    int64_t type = json_get_int(json, "type", GUEST_UNKNOWN);
    *ret_facts = (struct guest_facts){
        .type =
            type >= GUEST_UNKNOWN && type <= GUEST_OTHER ? (enum guest_type)type : GUEST_UNKNOWN,
        .major = (int)json_get_int(json, "major", 0),
        .minor = (int)json_get_int(json, "minor", 0),
    };
    char *base = (char *)ret_facts;
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        *(bool *)(base + flags[i].offset) = json_get_bool(json, flags[i].name, false);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *text = json_get_str(json, texts[i].name, NULL);
        char **field = (char **)(base + texts[i].offset);
        if (text && !(*field = strdup(text)))
            return false;
    }
    return true;
}
