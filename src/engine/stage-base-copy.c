/* base_copy: every disk into the working folder. */
#include <string.h>
#include <unistd.h>

#include "engine/copying.h"
#include "engine/round.h"
#include "engine/survey.h"

static int copy_warm(struct migration *m, struct err *err);
static int copy_cold(struct migration *m, struct err *err);
static int finish(struct migration *m, struct err *err);

static int
run(struct migration *m, struct err *err)
{
    return m->job->warm.wanted ? copy_warm(m, err) : copy_cold(m, err);
}

/* ---- of a machine that runs ---- */

static bool
is_base_open(const struct migration *m)
{
    const json_t *open = json_object_get(m->state.json, ROUND_STATE);
    return strcmp(json_get_str(open, "kind", ""), "base") == 0;
}

/* What is in the guest is looked at as soon as there is something to look at: one that cannot be
 * converted is not to be switched off first. */
static int
copy_warm(struct migration *m, struct err *err)
{
    struct vm_image images[VM_MAX_DISKS] = { 0 };
    if (migration_is_copied(m))
        return 0;
    if ((!round_has_base(m) || is_base_open(m)) && round_run(m, ROUND_BASE, err) < 0)
        return -1;
    for (size_t i = 0; i < m->vm->n_disks; i++)
        images[i] =
            (struct vm_image){ .path = m->paths.disks[i], .format = (char *)m->job->disk_format };
    return survey_make(m, images, err);
}

/* ---- of one that stands still ---- */

static int
copy_cold(struct migration *m, struct err *err)
{
    if (migration_is_copied(m))
        return source_close(m->source, &m->state, true, err);
    enum copy_verify verify = m->job->verify == JOB_VERIFY_FULL     ? COPY_VERIFY_FULL
                              : m->job->verify == JOB_VERIFY_SAMPLE ? COPY_VERIFY_SAMPLE
                                                                    : COPY_VERIFY_NONE;
    auto_copying struct copying copying = { .priority = "base" };
    for (size_t i = 0; i < m->vm->n_disks; i++) {
        /* It has its name only when it is complete; one that is being placed has left. */
        bool there = access(m->paths.disks[i], F_OK) == 0 || state_is(&m->state, STATE_PLACING);
        copying.disks[i] = (struct copying_disk){
            .wanted = !there,
            .verify = verify,
        };
    }
    if (copying_run(m, &copying, err) < 0 || finish(m, err) < 0)
        return -1;
    /* The mark first: a run that ends in between finds whole copies, and a journal to clear. */
    if (state_mark(&m->state, STATE_COPIED, err) < 0)
        return -1;
    return source_close(m->source, &m->state, true, err);
}

static int
finish(struct migration *m, struct err *err)
{
    size_t bad = SOURCE_BAD_NONE;
    if (source_finish(m->source, &bad, err) == 0)
        return 0;
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (bad == i || bad == SOURCE_BAD_ALL)
            unlink(m->paths.disks[i]);
    return -1;
}

const struct stage stage_base_copy = { .name = "base_copy", .weight = 50, .run = run };
