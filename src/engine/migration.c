#include "engine/migration.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define PART_SUFFIX ".part" /* vmferry-copy's, while an image is not complete */

int
job_checkpoint(const struct migration *m, struct err *err)
{
    if (!m->watch->cancelled(m->watch->arg))
        return 0;
    return err_set(err, ERR_CANCELLED, "stopped on request");
}

bool
migration_is_cancelled(void *arg)
{
    const struct migration *m = arg;
    return m->watch->cancelled(m->watch->arg);
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
migration_has_copies(const struct migration *m)
{
    if (state_is(&m->state, STATE_PLACING))
        return true;
    for (size_t i = 0; i < m->vm->n_disks; i++) {
        auto_free char *part = NULL;
        if (!m->paths.disks[i])
            continue;
        if (access(m->paths.disks[i], F_OK) == 0)
            return true;
        if (asprintf(&part, "%s" PART_SUFFIX, m->paths.disks[i]) >= 0 && access(part, F_OK) == 0)
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
        free(p->overlays[i]);
        free(p->final_disks[i]);
    }
    guest_facts_free(&m->facts);
    state_free(&m->state);
    workdir_close(&m->work);
    source_free(m->source);
    vm_free(m->vm);
}
