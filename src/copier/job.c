#include "copier/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "copier/start.h"
#include "copier/work.h"

static int read_wishes(struct work *w, struct err *err);
static int name_files(struct work *w, struct err *err);
static int check_final(const struct work *w, struct err *err);
static int open_source(struct work *w, struct err *err);
static int read_ranges(struct work *w, struct err *err);
static int copy_and_verify(struct work *w, struct job *job, struct err *err);
static int put_in_place(struct work *w, struct err *err);
static void leave_behind(struct work *w, struct err *err);
static json_t *describe(const struct work *w, const struct job *job, int64_t elapsed_ns);

static void
work_done(struct work *w)
{
    source_close(w->source);
    target_close(w->target);
    map_close(w->map);
    extent_free(&w->ranges);
    written_free(w->written);
    free(w->image);
    free(w->map_path);
    free(w->kept_map_path);
}

int
job_prepare(struct job *job, struct err *err)
{
    struct source_spec spec;
    start_source_spec(job, &spec);
    if (source_kind_find(copier_program.kinds, &spec, &job->kind, err) < 0)
        return -1;
    return job->kind->prepare ? job->kind->prepare(&spec, err) : 0;
}

void
job_finish(struct job *job)
{
    if (job->kind && job->kind->finish)
        job->kind->finish();
}

int
job_run(struct job *job, json_t **ret_detail, struct err *err)
{
    AUTO(work_done) struct work w = { .job = job };
    int64_t begin_ns = clock_now_ns();
    if (read_wishes(&w, err) < 0 || name_files(&w, err) < 0 || check_final(&w, err) < 0 ||
        open_source(&w, err) < 0 || read_ranges(&w, err) < 0)
        return -1;
    if (work_open_image(&w, err) < 0 || copy_and_verify(&w, job, err) < 0 ||
        put_in_place(&w, err) < 0) {
        leave_behind(&w, err);
        return -1;
    }
    *ret_detail = describe(&w, job, clock_now_ns() - begin_ns);
    return 0;
}

const json_t *
work_target(const struct work *w)
{
    return json_object_get(w->job->start, "target");
}

const char *
work_map_given(const struct work *w)
{
    return json_get_str(w->job->start, "map", NULL);
}

static const char *
change_id(const struct work *w)
{
    return json_get_str(w->job->start, "change_id", NULL);
}

static int
read_wishes(struct work *w, struct err *err)
{
    const json_t *start = w->job->start;
    if (json_need_str(work_target(w), "uri", &w->final, err) < 0 ||
        verify_kind_of(json_get_str(start, "verify", "none"), &w->verify, err) < 0)
        return -1;
    w->has_ranges = json_get_str(start, "ranges", NULL) != NULL;
    w->compare = json_get_bool(start, "compare", false);
    if (w->compare && !work_map_given(w))
        return err_set(err, ERR_INVALID,
                       "%s: cannot tell what differs without the map of the image (--map)",
                       w->final);
    if (w->has_ranges && !work_map_given(w) &&
        (w->verify == VERIFY_FULL || w->verify == VERIFY_SAMPLE))
        return err_set(err, ERR_INVALID,
                       "%s: cannot verify ranges without the map of the whole image (--map)",
                       w->final);
    if (change_id(w) && strlen(change_id(w)) >= MAP_CHANGE_ID_MAX)
        return err_set(err, ERR_INVALID, "%s: a changeId of %zu bytes, and a map has room for %d",
                       w->final, strlen(change_id(w)), MAP_CHANGE_ID_MAX - 1);
    return 0;
}

static int
name_files(struct work *w, struct err *err)
{
    const char *map = work_map_given(w);
    w->in_place = w->has_ranges || w->compare || target_is_in_place(w->final);
    w->keep_map = map || json_get_bool(w->job->start, "keep_map", false);
    int r = asprintf(&w->image, "%s%s", w->final, w->in_place ? "" : JOB_PART_SUFFIX);
    if (r >= 0 && map)
        w->map_path = strdup(map);
    else if (r >= 0 && !w->in_place)
        r = asprintf(&w->map_path, "%s%s", w->image, JOB_MAP_SUFFIX);
    if (r >= 0 && w->keep_map && !map && !w->in_place)
        r = asprintf(&w->kept_map_path, "%s%s", w->final, JOB_MAP_SUFFIX);
    if (r < 0 || !w->image || (map && !w->map_path))
        return err_errno(err, ENOMEM, "%s", w->final);
    return 0;
}

/* Before hours of copying: is it another disk than the source, and may it appear under its name? */
static int
check_final(const struct work *w, struct err *err)
{
    struct stat st, source_st;
    const char *source = json_get_str(json_object_get(w->job->start, "source"), "uri", NULL);
    if (source && stat(source, &source_st) == 0 && stat(w->final, &st) == 0 &&
        st.st_dev == source_st.st_dev && st.st_ino == source_st.st_ino)
        return err_set(err, ERR_INVALID, "%s: is source and target at once", w->final);
    if (w->in_place || (stat(w->final, &st) < 0 && errno == ENOENT))
        return 0;
    if (!json_get_bool(w->job->start, "force", false))
        return err_set(err, ERR_CONFLICT,
                       "%s: exists already; remove it, choose another name, or use --force to "
                       "replace it",
                       w->final);
    auto_close int fd = open(w->final, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: open", w->final);
    return fd_lock_image(fd, w->final, err);
}

static int
open_source(struct work *w, struct err *err)
{
    struct job *job = w->job;
    struct source_spec spec;
    start_source_spec(job, &spec);
    int r = source_open(job->kind, &spec, &w->source, err);
    start_wipe_secrets(job->start);
    return r;
}

static int
read_ranges(struct work *w, struct err *err)
{
    const char *path = json_get_str(w->job->start, "ranges", NULL);
    return path ? ranges_read(path, w->source->bytes, &w->ranges, err) : 0;
}

/* ---- running ---- */

static int
verify(struct work *w, struct job *job, struct err *err)
{
    struct verify_spec spec = { .kind = w->verify, .written = w->written };
    if (spec.kind == VERIFY_NONE)
        return 0;
    if (getrandom(&spec.seed, sizeof spec.seed, 0) < 0)
        return err_errno(err, errno, "random numbers");
    atomic_store(&job->stage, JOB_STAGE_VERIFY);
    if (verify_run(w->target, w->map, &spec, &job->progress, err) < 0)
        return -1;
    w->verified_bytes = atomic_load(&job->progress.done_bytes);
    return 0;
}

static int
copy_and_verify(struct work *w, struct job *job, struct err *err)
{
    if (w->verify == VERIFY_CHANGED && written_new(w->source->bytes, &w->written, err) < 0)
        return -1;
    struct copy_spec spec = {
        .source = w->source,
        .target = w->target,
        .map = w->map,
        .ranges = w->has_ranges ? &w->ranges : NULL,
        .resume = w->resume,
        .compare = w->compare,
        .written = w->written,
        .rate = &job->rate,
    };
    if (copy_disk(&spec, &job->progress, err) < 0 || verify(w, job, err) < 0)
        return -1;
    struct map_info info = *map_info(w->map);
    info.complete = true;
    info.work_id = 0;
    info.compared_bytes = 0;
    info.generation++;
    snprintf(info.change_id, sizeof info.change_id, "%s", change_id(w) ? change_id(w) : "");
    if (map_set_info(w->map, &info, err) < 0)
        return -1;
    w->copied = true;
    return 0;
}

static int
put_in_place(struct work *w, struct err *err)
{
    target_close(TAKE_PTR(w->target));
    map_close(TAKE_PTR(w->map));
    if (check_final(w, err) < 0) /* somebody may have made it meanwhile */
        return -1;
    /* The map first: where the image is, its map is, too. */
    if (w->kept_map_path && !w->map_has_last_name &&
        file_rename_durable(w->map_path, w->kept_map_path, err) < 0)
        return -1;
    if (!w->in_place && file_rename_durable(w->image, w->final, err) < 0)
        return -1;
    if (w->map_path && !w->keep_map && unlink(w->map_path) < 0 && errno != ENOENT)
        log_warning("%s: cannot be removed: %s", w->map_path, strerror(errno));
    return 0;
}

static bool
may_be_resumed(const struct work *w, const struct err *err)
{
    /* Denied: a session that ended, a password that was changed while it ran. */
    bool worth = err->kind == ERR_IO || err->kind == ERR_UNAVAILABLE ||
                 err->kind == ERR_CANCELLED || err->kind == ERR_DENIED;
    return worth && w->map_path && w->map && w->source->identity[0] != '\0';
}

/* After a failure: keep what a second run can go on from, remove what none can. */
static void
leave_behind(struct work *w, struct err *err)
{
    char text[ERR_TEXT_MAX];
    if (!w->owns_image || w->has_ranges || w->compare)
        return;
    if (w->copied) {
        memcpy(text, err->text, sizeof text);
        err_set(err, err->kind, "%s (the image is complete and stays as %s)", text, w->image);
        return;
    }
    if (may_be_resumed(w, err)) {
        uint64_t done = atomic_load(&w->job->progress.done_bytes);
        uint64_t total = atomic_load(&w->job->progress.total_bytes);
        memcpy(text, err->text, sizeof text);
        err_set(err, err->kind, "%s (%d%% are done; the same command again goes on from there)",
                text, total ? (int)(MIN(done, total) * 100 / total) : 0);
        return;
    }
    if (!w->in_place)
        unlink(w->image);
    if (w->map_path)
        unlink(w->map_path);
}

static json_t *
describe(const struct work *w, const struct job *job, int64_t elapsed_ns)
{
    const struct copy_progress *p = &job->progress;
    json_t *detail = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:s?}", "capacity_bytes",
        (json_int_t)w->source->bytes, "data_bytes", (json_int_t)atomic_load(&p->data_bytes),
        "zero_bytes", (json_int_t)atomic_load(&p->zero_bytes), "resumed_bytes",
        (json_int_t)atomic_load(&p->known_bytes), "read_bytes",
        (json_int_t)atomic_load(&p->read_bytes), "written_bytes",
        (json_int_t)atomic_load(&p->written_bytes), "elapsed_ns", (json_int_t)elapsed_ns,
        "verified", w->verify != VERIFY_NONE, "verified_bytes", (json_int_t)w->verified_bytes,
        "change_id", change_id(w));
    const struct source_digest *digest = w->source->digest;
    if (detail && digest) {
        json_object_set_new(detail, "stream_bytes", json_integer((json_int_t)digest->bytes));
        json_object_set_new(detail, "stream_sha1", json_string(digest->sha1));
        json_object_set_new(detail, "stream_sha256", json_string(digest->sha256));
    }
    return detail;
}
