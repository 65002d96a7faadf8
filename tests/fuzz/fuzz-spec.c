/* A spec and a config, as a person or a client of the API gives them: one YAML text for both. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "model/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Escapes make it longer than what was read; then it may be more than is taken. */
#define MAX_BYTES (8 * YAML_MAX_BYTES)

typedef int write_spec(const struct spec *spec, struct buf *buf, struct err *err);

static void
check_text(const char *text)
{
    if (text && (text[0] == '\0' || strlen(text) > FIELD_MAX_TEXT))
        abort();
}

static void
check_values(const struct spec *spec)
{
    const struct spec_migration *migration = &spec->migration;
    if (!spec_machine(spec) || migration->readers < 0 || migration->readers > 256 ||
        migration->delta_interval_s < 0 || migration->finalize_at < 0 ||
        spec->n_disks > SPEC_MAX_DISKS || spec->target.cloudstack.n_nics > SPEC_MAX_NICS ||
        spec->conversion.keys.n > SPEC_MAX_STRINGS)
        abort();
    check_text(spec->vm.name);
    check_text(spec->target.files.directory);
}

/* What was written is read, and then written the same. */
static void
check_again(const struct spec *spec, write_spec *write)
{
    struct err err = ERR_INIT;
    auto_buf struct buf text = BUF_INIT(MAX_BYTES), second = BUF_INIT(MAX_BYTES);
    auto_spec_list struct spec_list again = { 0 };
    if (write(spec, &text, &err) < 0)
        abort();
    if (text.len > YAML_MAX_BYTES)
        return;
    if (spec_read(text.data, text.len, "again", false, &again, &err) < 0 || again.n != 1 ||
        write(&again.items[0], &second, &err) < 0 || strcmp(text.data, second.data) != 0)
        abort();
}

static void
check_merge(struct spec *spec)
{
    struct err err = ERR_INIT;
    static const char text[] = "vcenter: {host: vc}\ncloudstack_defaults: {zoneid: z}\n";
    auto_config struct config config = { 0 };
    if (config_read(text, strlen(text), "config", false, &config, &err) < 0)
        abort();
    if (spec_merge(&config, NULL, spec, &err) < 0)
        return;
    if (spec_target_kind(spec) == SPEC_TARGET_UNSET || spec->migration.delta_interval_s < 1 ||
        spec->migration.readers < 1 || spec->conversion.run_virt_v2v == TRISTATE_UNSET)
        abort();
    check_again(spec, spec_write_json);
}

static void
check_config(const char *text, size_t len)
{
    struct err err = ERR_INIT;
    auto_config struct config config = { 0 }, again = { 0 };
    auto_buf struct buf first = BUF_INIT(MAX_BYTES), second = BUF_INIT(MAX_BYTES);
    if (config_read(text, len, "config", true, &config, &err) < 0)
        return;
    if (config_fill_defaults(&config, &err) < 0)
        abort();
    if (config_write_json(&config, &first, &err) < 0)
        return; /* too long */
    if (config_read(first.data, first.len, "again", false, &again, &err) < 0 ||
        config_write_json(&again, &second, &err) < 0 || strcmp(first.data, second.data) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err err = ERR_INIT;
    auto_spec_list struct spec_list list = { 0 };
    check_config((const char *)data, len);
    if (spec_read((const char *)data, len, "spec", true, &list, &err) < 0)
        return 0;
    for (size_t i = 0; i < list.n; i++) {
        check_values(&list.items[i]);
        check_again(&list.items[i], spec_write_json);
        check_again(&list.items[i], spec_write_yaml);
        check_merge(&list.items[i]);
    }
    return 0;
}
