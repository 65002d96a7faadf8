#include "engine/migration.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/checked.h"
#include "engine/live.h"

static bool
is_cancelled(const struct migration *m)
{
    return !m->source->deaf && m->watch->cancelled(m->watch->arg);
}

int
job_checkpoint(const struct migration *m, struct err *err)
{
    if (!is_cancelled(m))
        return 0;
    return err_set(err, ERR_CANCELLED, "stopped on request");
}

bool
migration_is_cancelled(void *arg)
{
    return is_cancelled(arg);
}

const struct engine_wishes *
migration_wishes(const struct migration *m)
{
    static const struct engine_wishes none;
    return m->watch->wishes ? m->watch->wishes(m->watch->arg) : &none;
}

int
migration_wait(struct migration *m, int64_t after_s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    m->outcome = (struct outcome){ .kind = OUTCOME_WAIT, .after_s = MAX(after_s, INT64_C(0)) };
    vsnprintf(m->outcome.text, sizeof m->outcome.text, fmt, args);
    va_end(args);
    return STAGE_WAITS;
}

int
migration_ask(struct migration *m, const char *question, int64_t again_s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    m->outcome = (struct outcome){ .kind = OUTCOME_ASK, .question = question, .after_s = again_s };
    vsnprintf(m->outcome.text, sizeof m->outcome.text, fmt, args);
    va_end(args);
    return STAGE_WAITS;
}

int
migration_introduce(struct migration *m, struct err *err)
{
    struct live_machine machine;
    const struct live_ops *live = m->source->live;
    if (!m->job->journal || !live)
        return 0;
    bool placed = state_is(&m->state, STATE_ARRIVED) && m->job->platform->keeps;
    live->machine(m->source, &machine);
    json_t *disks = json_array();
    for (size_t i = 0; disks && i < m->vm->n_disks; i++) {
        char label[VM_DISK_ID_MAX];
        const char *image = placed ? m->paths.final_disks[i] : m->paths.disks[i];
        json_array_append_new(
            disks, json_pack("{s:i, s:s, s:I, s:s}", "key", live->disk_key(m->source, i), "label",
                             vm_disk_id(&m->vm->disks[i], label), "capacity_bytes",
                             (json_int_t)m->vm->disks[i].capacity_bytes, "image", image));
    }
    json_t *op = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "op", "machine", "name",
                           machine.name, "moref", machine.moref, "uuid", machine.uuid, "server",
                           machine.server, "host", machine.host, "disks", disks);
    return state_apply(&m->state, ENGINE_NOTE, NULL, json_pack("[o]", op), err);
}

void
migration_log(const struct migration *m, enum log_level level, const char *code, const char *fmt,
              ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    m->watch->log(level, code, text, m->watch->arg);
}

int
migration_accel(struct migration *m, struct err *err)
{
    char why[ACCEL_WHY_MAX];
    if (m->accel_known)
        return 0;
    if (accel_probe(&m->accel, why, err) < 0)
        return -1;
    m->accel_known = true;
    if (m->accel == ACCEL_TCG)
        migration_log(m, m->job->convert ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "no-acceleration",
                      "there is no hardware acceleration here, so the conversion takes several "
                      "times as long: %s",
                      why);
    return 0;
}

bool
migration_has_part(const struct migration *m, size_t disk)
{
    char part[PATH_MAX];
    int len = snprintf(part, sizeof part, "%s" PART_SUFFIX, m->paths.disks[disk]);
    return len < (int)sizeof part && access(part, F_OK) == 0;
}

bool
migration_has_copies(const struct migration *m)
{
    if (state_is(&m->state, STATE_PLACING))
        return true;
    for (size_t i = 0; i < m->vm->n_disks; i++) {
        const char *image = m->paths.disks[i];
        if (image && (access(image, F_OK) == 0 || migration_has_part(m, i)))
            return true;
    }
    return false;
}

bool
migration_is_copied(const struct migration *m)
{
    return state_is(&m->state, STATE_COPIED) || state_is(&m->state, STATE_PLACING);
}

/* virt-v2v's rule where nobody said it: UEFI for a GPT with an EFI system partition and no place
 * for a BIOS boot loader. */
enum vm_firmware
migration_firmware(const struct migration *m)
{
    if (m->vm->firmware_known)
        return m->vm->firmware;
    bool uefi = m->facts_known && m->facts.gpt && m->facts.has_esp && !m->facts.has_bios_boot;
    return uefi ? VM_FIRMWARE_UEFI : VM_FIRMWARE_BIOS;
}

void
migration_free(struct migration *m)
{
    struct migration_paths *p = &m->paths;
    char *singles[] = {
        p->dir, p->final_xml, p->xml, p->source_xml, p->convert_log, p->inspect_log
    };
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++)
        free(singles[i]);
    for (size_t i = 0; i < VM_MAX_DISKS; i++) {
        free(p->disks[i]);
        free(p->maps[i]);
        free(p->overlays[i]);
        free(p->final_disks[i]);
    }
    guest_facts_free(&m->facts);
    state_free(&m->state);
    workdir_close(&m->work);
    source_free(m->source);
    vm_free(m->vm);
}
