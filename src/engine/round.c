#include "engine/round.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/size.h"
#include "engine/copying.h"
#include "engine/live.h"

#define RANGES_MAX_BYTES ((size_t)256 << 20) /* of a list, as vmferry-copy takes it */
#define KEY_TEXT_MAX 16

/* What a round knows of one disk. */
struct round_disk {
    uint64_t n_areas, changed_bytes;
    bool full;
    char why[512];
};

struct round {
    struct migration *m;
    enum round_kind kind;
    int64_t number, started_at, begin_ns;
    struct copying copying;
    struct round_disk disks[VM_MAX_DISKS];
    char why[512]; /* what the source said last of changes it does not know */
};

static int begin(struct round *r, struct err *err);
static int drop_strangers(struct migration *m, struct err *err);
static int freeze(struct round *r, struct err *err);
static int plan(struct round *r, struct err *err);
static int plan_disk(struct round *r, size_t i, struct err *err);
static int ask_areas(struct round *r, size_t i, const char *since, bool whole, struct err *err);
static int note_moment(struct round *r, struct err *err);
static json_t *epochs_now(const struct round *r);
static int finish(struct round *r, struct err *err);

static const char *const kind_names[] = { "base", "delta", "final" };

int
round_run(struct migration *m, enum round_kind kind, struct err *err)
{
    struct round *r = calloc(1, sizeof *r);
    if (!r)
        return err_errno(err, ENOMEM, "a round");
    *r = (struct round){ .m = m, .kind = kind, .begin_ns = clock_now_ns() };
    int result = -1;
    if (begin(r, err) == 0 && freeze(r, err) == 0 && note_moment(r, err) == 0 &&
        plan(r, err) == 0 && copying_run(m, &r->copying, err) == 0)
        result = finish(r, err);
    copying_free(&r->copying);
    free(r);
    return result;
}

/* ---- its beginning ---- */

static int
begin(struct round *r, struct err *err)
{
    struct migration *m = r->m;
    const json_t *open = json_object_get(m->state.json, ROUND_STATE);
    const char *kind = kind_names[r->kind];
    r->number = json_get_int(m->state.json, ROUND_COUNT, 0);
    r->started_at = clock_wall_s();
    r->copying.priority = kind;
    r->copying.keep_maps = true;
    if (json_is_object(open) && strcmp(json_get_str(open, "kind", ""), kind) == 0) {
        r->started_at = json_get_int(open, "started_at", r->started_at);
        return 0;
    }
    if (r->kind == ROUND_BASE && drop_strangers(m, err) < 0)
        return -1;
    return state_put(&m->state, ROUND_STATE,
                     json_pack("{s:I, s:s, s:I}", "number", (json_int_t)r->number, "kind", kind,
                               "started_at", (json_int_t)r->started_at),
                     err);
}

static bool
lacks_epochs(const struct migration *m)
{
    const struct live_ops *live = m->source->live;
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (!*live->epoch(m->source, i))
            return true;
    return false;
}

/* A machine that is off stands still by itself, as long as nobody switches it on: that is looked at
 * when the copies are made. */
static int
freeze(struct round *r, struct err *err)
{
    struct migration *m = r->m;
    const struct live_ops *live = m->source->live;
    if (r->kind == ROUND_FINAL)
        return 0;
    if (live->freeze(m->source, &m->state, err) < 0)
        return -1;
    /* Tracking that was turned on a moment ago may need one more standing still. */
    const json_t *tracking = json_object_get(m->state.json, LIVE_TRACKING);
    bool tracked = json_get_bool(tracking, "on", false);
    if (r->kind != ROUND_BASE || !tracked || !lacks_epochs(m) || migration_has_copies(m))
        return 0;
    if (live->thaw(m->source, &m->state, err) < 0 || live->refresh(m->source, err) < 0 ||
        live->freeze(m->source, &m->state, err) < 0)
        return -1;
    if (lacks_epochs(m))
        migration_log(m, LOG_LEVEL_WARNING, "no-epoch",
                      "vSphere tracks the changes of some disks of this machine only; the others "
                      "are read whole in each round");
    return 0;
}

static const char *
key_text(const struct migration *m, size_t i, char text[KEY_TEXT_MAX])
{
    snprintf(text, KEY_TEXT_MAX, "%d", m->source->live->disk_key(m->source, i));
    return text;
}

static const json_t *
epoch_of(const struct migration *m, size_t i)
{
    char key[KEY_TEXT_MAX];
    return json_object_get(json_object_get(m->state.json, ROUND_EPOCHS), key_text(m, i, key));
}

static bool
has_image(const struct migration *m, size_t i)
{
    return access(m->paths.disks[i], F_OK) == 0 && access(m->paths.maps[i], F_OK) == 0;
}

/* Of a base copy that did not end. */
static bool
has_part(const struct migration *m, size_t i)
{
    return migration_has_part(m, i) && access(m->paths.maps[i], F_OK) == 0;
}

/* What an interrupted base copy has made is of the moment at which the machine stood then. When
 * that was another one than now, it needs what was written since: so it gets that moment as its
 * epoch. One that has an older epoch keeps it, for whether it ever came up to a later one is not
 * known. */
static json_t *
epochs_of_what_is_there(const struct round *r, const json_t *open)
{
    const struct migration *m = r->m;
    const json_t *then = json_object_get(open, "epochs");
    json_t *epochs = json_object();
    for (size_t i = 0; epochs && i < m->vm->n_disks; i++) {
        char key[KEY_TEXT_MAX];
        json_t *epoch = (json_t *)epoch_of(m, i);
        if (!epoch && (has_image(m, i) || has_part(m, i)))
            epoch = json_object_get(then, key_text(m, i, key));
        if (epoch && json_object_set(epochs, key_text(m, i, key), epoch) < 0) {
            json_decref(epochs);
            return NULL;
        }
    }
    return epochs;
}

static int
note_moment(struct round *r, struct err *err)
{
    struct migration *m = r->m;
    const json_t *open = json_object_get(m->state.json, ROUND_STATE);
    const json_t *journal = json_object_get(m->state.json, STATE_SOURCE);
    const char *now = json_get_str(journal, "snapshot", "");
    const char *then = json_get_str(open, "moment", NULL);
    if (r->kind == ROUND_FINAL || (then && strcmp(then, now) == 0))
        return 0;
    json_t *ops = json_pack(
        "[o]", op_put(ROUND_STATE, json_pack("{s:I, s:s, s:I, s:s, s:o}", "number",
                                             (json_int_t)r->number, "kind", kind_names[r->kind],
                                             "started_at", (json_int_t)r->started_at, "moment", now,
                                             "epochs", epochs_now(r))));
    if (ops && then && r->kind == ROUND_BASE &&
        json_array_append_new(ops, op_put(ROUND_EPOCHS, epochs_of_what_is_there(r, open))) < 0) {
        json_decref(ops);
        ops = NULL;
    }
    return state_apply(&m->state, ENGINE_NOTE, NULL, ops, err);
}

/* ---- what is to be copied ---- */

static int
plan(struct round *r, struct err *err)
{
    for (size_t i = 0; i < r->m->vm->n_disks; i++)
        if (job_checkpoint(r->m, err) < 0 || plan_disk(r, i, err) < 0)
            return -1;
    return 0;
}

/* The image is worth nothing any more: it is made again. */
static int
drop_image(struct migration *m, size_t i, const char *why, struct err *err)
{
    migration_log(m, LOG_LEVEL_WARNING, "full-copy", "disk %zu is copied anew, for %s", i + 1, why);
    if ((unlink(m->paths.disks[i]) < 0 || unlink(m->paths.maps[i]) < 0) && errno != ENOENT)
        return err_errno(err, errno, "%s: remove", m->paths.disks[i]);
    return dir_sync_of(m->paths.disks[i], err);
}

/* The reason for which an image that is there cannot be gone on with, or NULL. */
static const char *
reason_to_drop(const struct migration *m, size_t i, const json_t *epoch)
{
    if (access(m->paths.disks[i], F_OK) != 0)
        return NULL;
    if (!epoch)
        return "it is not known of which moment its image is";
    if (access(m->paths.maps[i], F_OK) != 0)
        return "the map of its image is gone";
    if (json_get_u64(epoch, "capacity_bytes", 0) != m->vm->disks[i].capacity_bytes)
        return "its size was changed at the source";
    return NULL;
}

/* Those that are there before a base copy begins are of no moment, as after a conversion that was
 * taken back; later they could not be told from those that this copy has finished. */
static int
drop_strangers(struct migration *m, struct err *err)
{
    for (size_t i = 0; i < m->vm->n_disks; i++) {
        const char *why = epoch_of(m, i) ? NULL : reason_to_drop(m, i, NULL);
        if (why && drop_image(m, i, why, err) < 0)
            return -1;
    }
    return 0;
}

static enum copy_verify
wanted_verify(const struct round *r)
{
    switch (r->m->job->verify) {
    case JOB_VERIFY_CHANGED:
        return r->kind == ROUND_BASE ? COPY_VERIFY_NONE : COPY_VERIFY_CHANGED;
    case JOB_VERIFY_SAMPLE:
        return r->kind == ROUND_FINAL ? COPY_VERIFY_SAMPLE : COPY_VERIFY_NONE;
    case JOB_VERIFY_FULL:
        return r->kind == ROUND_FINAL ? COPY_VERIFY_FULL : COPY_VERIFY_NONE;
    default:
        return COPY_VERIFY_NONE;
    }
}

static int
plan_disk(struct round *r, size_t i, struct err *err)
{
    struct migration *m = r->m;
    struct copying_disk *disk = &r->copying.disks[i];
    struct round_disk *round = &r->disks[i];
    const json_t *epoch = epoch_of(m, i);
    /* Finished by this base copy before it was interrupted, and of this moment. */
    if (r->kind == ROUND_BASE && !epoch && has_image(m, i))
        return 0;
    *disk = (struct copying_disk){ .wanted = true, .verify = wanted_verify(r) };
    const char *why = reason_to_drop(m, i, epoch);
    if (why && drop_image(m, i, why, err) < 0)
        return -1;
    bool whole = why || !has_image(m, i);
    if (whole) {
        /* A map without its image, of a crash in the middle of dropping both. */
        if (!has_part(m, i) && unlink(m->paths.maps[i]) < 0 && errno != ENOENT)
            return err_errno(err, errno, "%s: remove", m->paths.maps[i]);
        disk->how = COPYING_WHOLE;
        round->full = true;
        snprintf(round->why, sizeof round->why, "%s", why ? why : "");
    }
    /* A half made image of another moment is gone on with when what changed since is known. */
    if (whole && (!epoch || !has_part(m, i) ||
                  json_get_u64(epoch, "capacity_bytes", 0) != m->vm->disks[i].capacity_bytes))
        return 0;
    return ask_areas(r, i, json_get_str(epoch, "epoch", ""), whole, err);
}

/* ---- what changed ---- */

struct area_list {
    struct buf text;
    struct round_disk *disk;
};

static int
add_area(uint64_t start, uint64_t length, void *arg, struct err *err)
{
    struct area_list *list = arg;
    list->disk->n_areas++;
    list->disk->changed_bytes += length;
    return buf_printf(&list->text, err, "%" PRIu64 " %" PRIu64 "\n", start, length);
}

static int
keep_areas(struct round *r, size_t i, const struct buf *text, char **ret_path, struct err *err)
{
    char name[KEY_TEXT_MAX + 16], key[KEY_TEXT_MAX];
    snprintf(name, sizeof name, "disk-%s.ranges", key_text(r->m, i, key));
    if (workdir_path(&r->m->work, name, ret_path, err) < 0)
        return -1;
    return file_write_atomic(*ret_path, text->data ? text->data : "", text->len, 0600, err);
}

/* Nobody knows what changed: all of it may have. */
static int
plan_without_areas(struct round *r, size_t i, bool was_known, bool whole)
{
    struct round_disk *round = &r->disks[i];
    *round = (struct round_disk){ .full = true };
    snprintf(round->why, sizeof round->why, "%s", r->why);
    if (whole)
        return 0;
    r->copying.disks[i].how = COPYING_COMPARE;
    if (was_known)
        migration_log(r->m, LOG_LEVEL_WARNING, "full-compare",
                      "disk %zu is read whole and compared, for %s", i + 1, r->why);
    return 0;
}

/* whole: into an image that is half made; else into one that is complete. */
static int
ask_areas(struct round *r, size_t i, const char *since, bool whole, struct err *err)
{
    struct migration *m = r->m;
    struct copying_disk *disk = &r->copying.disks[i];
    struct area_list list = { .text = BUF_INIT(RANGES_MAX_BYTES), .disk = &r->disks[i] };
    enum live_answer answer;
    int result = m->source->live->areas(m->source, i, since, add_area, &list, &answer, r->why, err);
    bool checks_all = disk->verify == COPY_VERIFY_SAMPLE || disk->verify == COPY_VERIFY_FULL;
    if (result == 0 && answer == LIVE_RESET) {
        result = plan_without_areas(r, i, *since, whole);
    } else if (result == 0 && whole) {
        result = keep_areas(r, i, &list.text, &disk->stale_path, err);
    } else if (result == 0) {
        disk->how = COPYING_RANGES;
        disk->wanted = list.disk->n_areas > 0 || checks_all;
        if (disk->wanted)
            result = keep_areas(r, i, &list.text, &disk->ranges_path, err);
    }
    buf_free(&list.text);
    return result;
}

/* ---- its end ---- */

/* The epochs of now, as the source knows them while it stands still. The last round leaves those
 * that are there: should the machine run again, what was written since them comes once more. */
static json_t *
epochs_now(const struct round *r)
{
    const struct migration *m = r->m;
    json_t *epochs = json_object();
    for (size_t i = 0; epochs && i < m->vm->n_disks; i++) {
        char key[KEY_TEXT_MAX];
        json_t *epoch = json_pack("{s:s, s:I}", "epoch", m->source->live->epoch(m->source, i),
                                  "capacity_bytes", (json_int_t)m->vm->disks[i].capacity_bytes);
        if (json_object_set_new(epochs, key_text(m, i, key), epoch) < 0) {
            json_decref(epochs);
            return NULL;
        }
    }
    return epochs;
}

static json_t *
describe_disks(const struct round *r)
{
    const struct migration *m = r->m;
    json_t *disks = json_array();
    for (size_t i = 0; disks && i < m->vm->n_disks; i++) {
        const struct copy_result *result = &r->copying.disks[i].result;
        json_t *disk = json_pack(
            "{s:i, s:I, s:I, s:I, s:I, s:b, s:s}", "key", m->source->live->disk_key(m->source, i),
            "areas", (json_int_t)r->disks[i].n_areas, "changed_bytes",
            (json_int_t)r->disks[i].changed_bytes, "read_bytes", (json_int_t)result->read_bytes,
            "written_bytes", (json_int_t)result->written_bytes, "full", r->disks[i].full, "why",
            r->disks[i].why);
        if (json_array_append_new(disks, disk) < 0) {
            json_decref(disks);
            return NULL;
        }
    }
    return disks;
}

struct sums {
    uint64_t changed_bytes, read_bytes, written_bytes;
};

static struct sums
sum_up(const struct round *r)
{
    struct sums sums = { 0 };
    for (size_t i = 0; i < r->m->vm->n_disks; i++) {
        const struct copy_result *result = &r->copying.disks[i].result;
        sums.read_bytes += result->read_bytes;
        sums.written_bytes += result->written_bytes;
        /* Where nobody could say what changed, what differed has. */
        sums.changed_bytes += r->disks[i].full ? result->written_bytes : r->disks[i].changed_bytes;
    }
    return sums;
}

/* One op more, if it is to be. */
static int
add_op(json_t *ops, json_t *op)
{
    return json_array_append_new(ops, op);
}

static int
remember(struct round *r, const struct sums *sums, double seconds, struct err *err)
{
    struct migration *m = r->m;
    json_t *ops = json_array();
    json_int_t rate = seconds > 0.1 ? (json_int_t)((double)sums->read_bytes / seconds) : 0;
    int failed = add_op(ops, json_pack("{s:s, s:I, s:s, s:I, s:f, s:o}", "op", "round", "number",
                                       (json_int_t)r->number, "kind", kind_names[r->kind],
                                       "started_at", (json_int_t)r->started_at, "seconds", seconds,
                                       "disks", describe_disks(r)));
    failed |= add_op(ops, op_put(ROUND_COUNT, json_integer(r->number + 1)));
    failed |= add_op(ops, op_put(ROUND_STATE, NULL));
    failed |= add_op(
        ops, op_put(ROUND_LAST,
                    json_pack("{s:I, s:f, s:I}", "ended_at", (json_int_t)clock_wall_s(), "seconds",
                              seconds, "changed_bytes", (json_int_t)sums->changed_bytes)));
    if (r->kind != ROUND_FINAL)
        failed |= add_op(ops, op_put(ROUND_EPOCHS, epochs_now(r)));
    if (rate > 0 && sums->read_bytes > MIB)
        failed |= add_op(ops, op_put(ROUND_RATE, json_integer(rate)));
    if (failed) {
        json_decref(ops);
        ops = NULL;
    }
    return state_apply(&m->state, ENGINE_NOTE, NULL, ops, err);
}

static void
remove_list(const struct copying_disk *disk)
{
    const char *path = disk->ranges_path ? disk->ranges_path : disk->stale_path;
    if (path)
        unlink(path);
}

static int
finish(struct round *r, struct err *err)
{
    struct migration *m = r->m;
    struct sums sums = sum_up(r);
    double seconds = (double)(clock_now_ns() - r->begin_ns) / (double)NS_PER_S;
    char changed[SIZE_TEXT_MAX];
    if (remember(r, &sums, seconds, err) < 0)
        return -1;
    migration_log(m, LOG_LEVEL_INFO, "round", "round %" PRId64 " (%s): %s in %.1f s", r->number,
                  kind_names[r->kind], size_format(sums.changed_bytes, changed), seconds);
    for (size_t i = 0; i < m->vm->n_disks; i++)
        remove_list(&r->copying.disks[i]);
    return m->source->live->thaw(m->source, &m->state, err);
}

bool
round_has_base(const struct migration *m)
{
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (!epoch_of(m, i) || access(m->paths.disks[i], F_OK) != 0)
            return false;
    return true;
}
