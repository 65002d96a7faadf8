/* init: everything that can be said about the migration before a byte is copied. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "descriptor/manifest.h"
#include "engine/facts.h"
#include "engine/identity.h"
#include "engine/live.h"
#include "engine/migration.h"
#include "engine/placement.h"
#include "engine/source.h"
#include "engine/space.h"
#include "engine/survey.h"

#define CONTENT_MAX 262144 /* bytes of a source's word for what it holds */

static int describe_source(struct migration *m, struct err *err);
static int open_workdir(struct migration *m, struct err *err);
static int name_paths(struct migration *m, struct err *err);
static int name_work_paths(struct migration *m, struct err *err);
static int check_dir(const struct migration *m, struct err *err);
static int check_names(const struct migration *m, struct err *err);
static int take_state(struct migration *m, struct err *err);
static int start_anew(struct migration *m, struct err *err);
static int go_on_from(struct migration *m, struct err *err);
static int open_source(struct migration *m, struct err *err);
static int verify_manifest(struct migration *m, struct err *err);
static int inspect(struct migration *m, struct err *err);

static int
run(struct migration *m, struct err *err)
{
    if (describe_source(m, err) < 0 || name_paths(m, err) < 0 || check_dir(m, err) < 0)
        return -1;
    if (open_workdir(m, err) < 0 || migration_introduce(m, err) < 0)
        return -1;
    if (migration_wishes(m)->cancel)
        return err_set(err, ERR_CANCELLED, "given up on request");
    if (!migration_is_copied(m) && source_check(m->source, err) < 0)
        return -1;
    if (m->vm->n_disks == 0)
        return err_set(err, ERR_INVALID, "%s: the machine has no disks: there is nothing to move",
                       job_source_text(m->job));
    if (go_on_from(m, err) < 0)
        return -1;
    if (state_is(&m->state, STATE_PLACING))
        return 0;
    if (check_names(m, err) < 0 || space_check(m, err) < 0 || job_checkpoint(m, err) < 0 ||
        verify_manifest(m, err) < 0 || job_checkpoint(m, err) < 0)
        return -1;
    if (migration_is_copied(m))
        return 0;
    if (m->job->warm.wanted)
        return m->source->live->track(m->source, &m->state, err);
    return open_source(m, err) < 0 ? -1 : inspect(m, err);
}

static int
describe_source(struct migration *m, struct err *err)
{
    const struct job *job = m->job;
    migration_say(m, "Setting up the source: -i %s %s", job_input_name(job->input),
                  job_source_text(job));
    if (source_describe(m->source, err) < 0)
        return -1;
    if (job->name && vm_set_name(m->vm, job->name, err) < 0)
        return err_prefix(err, "-on");
    return nic_map_make(job, m->vm, &m->nics, err);
}

/* ---- where things lie ---- */

/* As virt-v2v: a big temporary directory, not /tmp, which may be memory. */
static const char *
scratch_dir(void)
{
    static const char *const names[] = { "VIRT_V2V_TMPDIR", "LIBGUESTFS_CACHEDIR", "TMPDIR", NULL };
    for (const char *const *name = names; *name; name++) {
        const char *dir = getenv(*name);
        if (dir && *dir)
            return dir;
    }
    return "/var/tmp";
}

static int
print_path(char **ret, struct err *err, const char *dir, const char *name, const char *suffix)
{
    if (asprintf(ret, "%s/%s%s", dir, name, suffix) >= 0)
        return 0;
    *ret = NULL;
    return err_errno(err, ENOMEM, "%s", dir);
}

static int
name_paths(struct migration *m, struct err *err)
{
    struct migration_paths *p = &m->paths;
    auto_free char *found = NULL;
    if (placement_find_dir(m, &found, err) < 0)
        return -1;
    const char *dir = m->job->dir ? m->job->dir : found ? found : scratch_dir();
    p->dir = realpath(dir, NULL);
    if (!p->dir)
        return err_errno(err, errno, "%s%s", m->job->dir ? "-os " : "", dir);
    if (print_path(&p->final_xml, err, p->dir, m->vm->name, ".xml") < 0)
        return -1;
    for (size_t i = 0; i < m->vm->n_disks; i++) {
        char letters[4], suffix[16];
        snprintf(suffix, sizeof suffix, "-sd%s", vm_drive_letters(i, letters));
        if (print_path(&p->final_disks[i], err, p->dir, m->vm->name, suffix) < 0)
            return -1;
    }
    return 0;
}

static int
name_work_paths(struct migration *m, struct err *err)
{
    struct migration_paths *p = &m->paths;
    const char *work = m->work.path;
    if (print_path(&p->xml, err, work, "domain", ".xml") < 0 ||
        print_path(&p->source_xml, err, work, "source", ".xml") < 0 ||
        print_path(&p->convert_log, err, work, "convert", ".log") < 0 ||
        print_path(&p->inspect_log, err, work, "inspect", ".log") < 0)
        return -1;
    for (size_t i = 0; i < m->vm->n_disks; i++) {
        char letters[4], name[16];
        snprintf(name, sizeof name, "sd%s", vm_drive_letters(i, letters));
        if (print_path(&p->disks[i], err, work, name, "") < 0 ||
            print_path(&p->maps[i], err, work, name, ".map") < 0 ||
            print_path(&p->overlays[i], err, work, name, ".overlay") < 0)
            return -1;
    }
    return 0;
}

static int
check_dir(const struct migration *m, struct err *err)
{
    struct placement placement;
    const char *where = m->job->dir ? m->job->dir : m->job->pool;
    migration_say(m, "Checking the destination: -o %s%s%s", m->job->platform->name,
                  where ? " -os " : "", where ? where : "");
    placement_fill(m, &placement);
    return m->job->platform->check_dir(&placement, err);
}

static int
check_names(const struct migration *m, struct err *err)
{
    const struct platform *platform = m->job->platform;
    struct placement placement;
    placement_fill(m, &placement);
    if (platform->check_names && platform->check_names(&placement, err) < 0)
        return -1;
    return platform->check ? platform->check(&placement, err) : 0;
}

/* ---- what an earlier run left ---- */

static int
refuse(const struct migration *m, const char *what, struct err *err)
{
    return err_set(err, ERR_CONFLICT,
                   "%s: an earlier migration of this name left its work there, and %s: drop it "
                   "with --discard, or give this machine another name with -on",
                   m->work.path, what);
}

/* What it made at the source is told by its journal alone: that comes before the journal goes. */
static int
open_workdir(struct migration *m, struct err *err)
{
    bool discard = m->job->discard;
    if (workdir_open(m->paths.dir, m->vm->name, &m->work, err) < 0 || name_work_paths(m, err) < 0)
        return -1;
    if (m->job->journal)
        return take_state(m, err);
    struct err damaged = ERR_INIT;
    int r = state_load(&m->work, &m->state, discard ? &damaged : err);
    if (r < 0 && !discard)
        return -1;
    if (r == 0 && source_recall(m->source, &m->state, discard, err) < 0)
        return -1;
    return discard ? start_anew(m, err) : 0;
}

/* The daemon remembers, and the folder holds; each without the other is worth nothing. */
static int
take_state(struct migration *m, struct err *err)
{
    if (state_take(m->job->state, m->watch, &m->state, err) < 0)
        return -1;
    bool remembered = json_object_get(m->state.json, "copy") != NULL;
    if (remembered && m->work.fresh && !state_is(&m->state, STATE_PLACING)) {
        migration_log(m, LOG_LEVEL_WARNING, "folder-gone",
                      "%s is gone, and with it all that was copied: the copy starts again",
                      m->work.path);
        if (state_clear(&m->state, err) < 0)
            return -1;
    }
    if (!remembered && !m->work.fresh && workdir_clear(&m->work, err) < 0)
        return -1;
    return source_recall(m->source, &m->state, false, err);
}

static int
start_anew(struct migration *m, struct err *err)
{
    state_free(&m->state);
    return workdir_clear(&m->work, err) < 0 ? -1 : state_load(&m->work, &m->state, err);
}

/* The bytes behind the disks may be others by now, though the disks are the same. */
static int
compare_content(struct migration *m, const char *now, struct err *err)
{
    const char *was = json_get_str(m->state.json, "content", "");
    if (!migration_has_copies(m) || (*was && strcmp(now, was) == 0))
        return 0;
    if (*was && *now)
        return refuse(m, "what is on the disks of this source was changed since", err);
    migration_log(m, LOG_LEVEL_WARNING, "copies-dropped",
                  "what an earlier run copied is dropped, for it cannot be told whether the source "
                  "still holds the same");
    auto_json json_t *copy = json_incref(json_object_get(m->state.json, "copy"));
    auto_json json_t *journal = json_incref(json_object_get(m->state.json, STATE_SOURCE));
    if (start_anew(m, err) < 0 || state_put(&m->state, "copy", TAKE_PTR(copy), err) < 0)
        return -1;
    return journal ? state_put(&m->state, STATE_SOURCE, TAKE_PTR(journal), err) : 0;
}

static int
note_content(struct migration *m, bool compare, struct err *err)
{
    auto_buf struct buf now = BUF_INIT(CONTENT_MAX);
    if (!source_has_content(m->source))
        return 0;
    if (source_content(m->source, &now, err) < 0 || buf_add(&now, "", 0, err) < 0)
        return -1;
    const char *text = now.data ? now.data : "";
    if (compare && compare_content(m, text, err) < 0)
        return -1;
    return state_put(&m->state, "content", json_string(text), err);
}

static int
go_on_from(struct migration *m, struct err *err)
{
    auto_json json_t *copy = identity_of_copy(m->source);
    auto_json json_t *conversion = identity_of_conversion(m->job);
    if (!copy || !conversion)
        return err_set(err, ERR_INVALID, "%s: a name in it is not UTF-8", job_source_text(m->job));
    if (!json_equal(json_object_get(m->state.json, "copy"), copy)) {
        if (migration_has_copies(m))
            return refuse(m, "it was made from another source, or this source was changed since",
                          err);
        if (state_clear(&m->state, err) < 0 ||
            state_put(&m->state, "copy", TAKE_PTR(copy), err) < 0)
            return -1;
    }
    if (!m->job->warm.wanted && !migration_is_copied(m) && note_content(m, true, err) < 0)
        return -1;
    bool converted = state_is(&m->state, STATE_COMMITTING) || state_is(&m->state, STATE_PLACING);
    if (converted && !json_equal(json_object_get(m->state.json, STATE_CONVERSION), conversion))
        return refuse(m, "its guest was converted with other options", err);
    const json_t *facts = json_object_get(m->state.json, "facts");
    if (facts) {
        if (!facts_from_json(facts, &m->facts))
            return err_errno(err, ENOMEM, "%s", m->state.path);
        m->facts_known = true;
    }
    return 0;
}

/* ---- from here on there may be something of ours at the source ---- */

static int
open_source(struct migration *m, struct err *err)
{
    if (source_open(m->source, &m->state, err) < 0)
        return -1;
    return note_content(m, false, err);
}

/* ---- what is in it ---- */

static void
show_manifest_progress(uint64_t done_bytes, uint64_t total_bytes, void *arg)
{
    struct engine_progress progress = {
        .disk = "manifest",
        .done_bytes = done_bytes,
        .total_bytes = total_bytes,
        .data_bytes = done_bytes,
        .eta_s = -1,
        .pct = total_bytes ? (int)((double)done_bytes / (double)total_bytes * 100.0) : 0,
    };
    migration_progress(arg, &progress);
}

static int
verify_manifest(struct migration *m, struct err *err)
{
    if (m->job->input != JOB_INPUT_OVA || state_is(&m->state, STATE_VERIFIED))
        return 0;
    migration_say(m, "Verifying the package against its manifest");
    struct manifest_watch watch = { show_manifest_progress, migration_is_cancelled, m };
    struct manifest_result result;
    if (manifest_verify(m->job->paths[0], &watch, &result, err) < 0)
        return -1;
    if (!result.present)
        migration_log(m, LOG_LEVEL_INFO, "no-manifest",
                      "the package has no manifest: damage on its way here would not be seen");
    return state_mark(&m->state, STATE_VERIFIED, err);
}

static int
inspect(struct migration *m, struct err *err)
{
    struct vm_image images[VM_MAX_DISKS];
    if (!source_is_random_access(m->source)) {
        migration_log(m, LOG_LEVEL_INFO, "inspect-after-copy",
                      "disks of this source can only be looked into after they have been copied");
        return 0;
    }
    for (size_t i = 0; i < m->vm->n_disks; i++)
        source_image(m->source, i, &images[i]);
    return survey_make(m, images, err);
}

const struct stage stage_init = { .name = "init", .weight = 5, .run = run };
