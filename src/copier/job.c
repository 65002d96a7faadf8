#include "copier/job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "disk/verify.h"

/* What is open while the job runs. */
struct work {
    struct job *job;
    const char *final; /* name of the target */
    char *image;       /* what is written: final, or final.part */
    char *map_path;    /* NULL: in memory */
    bool in_place;     /* the target exists and is written as it is */
    bool keep_map;
    bool owns_image; /* it is locked by us: we may remove it */
    bool copied;     /* the image is complete */
    bool resume;
    struct extent_list ranges;
    bool has_ranges;
    struct source *source;
    struct target *target;
    struct map *map;
};

static int name_files(struct work *w, struct err *err);
static int check_final(const struct work *w, struct err *err);
static int open_source(struct work *w, struct err *err);
static int read_ranges(struct work *w, struct err *err);
static int open_image(struct work *w, struct err *err);
static int copy_and_verify(struct work *w, struct job *job, struct err *err);
static int put_in_place(struct work *w, struct err *err);
static void leave_behind(struct work *w, struct err *err);
static json_t *describe(const struct work *w, const struct job *job, int64_t elapsed_ns);
static void job_source_spec(struct job *job, struct source_spec *ret);
static void wipe_secrets(json_t *start);

static void
work_done(struct work *w)
{
    source_close(w->source);
    target_close(w->target);
    map_close(w->map);
    extent_free(&w->ranges);
    free(w->image);
    free(w->map_path);
}

int
job_prepare(struct job *job, struct err *err)
{
    struct source_spec spec;
    job_source_spec(job, &spec);
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
    if (name_files(&w, err) < 0 || check_final(&w, err) < 0 || open_source(&w, err) < 0 ||
        read_ranges(&w, err) < 0)
        return -1;
    if (open_image(&w, err) < 0 || copy_and_verify(&w, job, err) < 0 || put_in_place(&w, err) < 0) {
        leave_behind(&w, err);
        return -1;
    }
    *ret_detail = describe(&w, job, clock_now_ns() - begin_ns);
    return 0;
}

static const json_t *
target_json(const struct work *w)
{
    return json_object_get(w->job->start, "target");
}

static const char *
map_given(const struct work *w)
{
    return json_get_str(w->job->start, "map", NULL);
}

static bool
is_to_be_verified(const struct work *w)
{
    return strcmp(json_get_str(w->job->start, "verify", "none"), "full") == 0;
}

static int
name_files(struct work *w, struct err *err)
{
    const char *map = map_given(w);
    if (json_need_str(target_json(w), "uri", &w->final, err) < 0)
        return -1;
    w->has_ranges = json_get_str(w->job->start, "ranges", NULL) != NULL;
    w->in_place = w->has_ranges || target_is_in_place(w->final);
    w->keep_map = map || json_get_bool(w->job->start, "keep_map", false);
    int r = asprintf(&w->image, "%s%s", w->final, w->in_place ? "" : JOB_PART_SUFFIX);
    if (r >= 0 && map)
        w->map_path = strdup(map);
    else if (r >= 0 && !w->in_place)
        r = asprintf(&w->map_path, "%s%s", w->image, JOB_MAP_SUFFIX);
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
    if (w->has_ranges && is_to_be_verified(w) && !w->map_path)
        return err_set(err, ERR_INVALID,
                       "%s: cannot verify ranges without the map of the whole image (--map)",
                       w->final);
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
    job_source_spec(job, &spec);
    int r = source_open(job->kind, &spec, &w->source, err);
    wipe_secrets(job->start);
    return r;
}

static int
read_ranges(struct work *w, struct err *err)
{
    const char *path = json_get_str(w->job->start, "ranges", NULL);
    return path ? ranges_read(path, w->source->bytes, &w->ranges, err) : 0;
}

/* ---- image and map ---- */

static uint64_t
work_id_of(const struct work *w)
{
    if (!w->has_ranges)
        return 0;
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return 1;
    XXH3_64bits_reset(state);
    for (size_t i = 0; i < w->ranges.n; i++) {
        uint64_t range[2] = { w->ranges.extents[i].offset, w->ranges.extents[i].len };
        XXH3_64bits_update(state, range, sizeof range);
    }
    uint64_t id = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return id ? id : 1;
}

static bool
open_target(struct work *w, bool create, struct err *err)
{
    struct target_spec spec = {
        .uri = w->image,
        .format = json_get_str(target_json(w), "format", "raw"),
        .bytes = w->source->bytes,
        .create = create,
        .preallocate = json_get_bool(target_json(w), "preallocate", false),
        .open_nbd = copier_program.open_nbd,
    };
    if (target_open(&spec, &w->target, err) < 0)
        return false;
    w->owns_image = true;
    return true;
}

/* Why the map that is there cannot be gone on from; NULL: it can. */
static const char *
reason_to_restart(const struct work *w, const struct map *map)
{
    const struct map_info *info = map_info(map);
    if (w->source->identity[0] == '\0')
        return "this source can only be read from its beginning";
    if (info->disk_bytes != w->source->bytes || strcmp(info->source_id, w->source->identity) != 0)
        return "the source is not the one that it was begun with, or was changed since";
    if (info->work_id != 0)
        return "a list of ranges was being copied";
    if (info->complete && w->in_place)
        return "it was finished, and the target may have been written to since";
    struct stat st;
    if (!w->in_place && stat(w->image, &st) < 0)
        return "the image is gone";
    return NULL;
}

/* Open map and image of an earlier run. 1: to be gone on from; 0: start again. */
static int
try_resume(struct work *w, struct err *err)
{
    struct err ignored = ERR_INIT;
    auto_map struct map *map = NULL;
    if (!w->map_path || map_open(w->map_path, &map, &ignored) < 0) {
        bool there = w->map_path && ignored.kind != ERR_NOT_FOUND;
        if (there && map_given(w)) /* a slip of the pen must not cost a file */
            return err_set(err, ignored.kind,
                           "%s; name another file as the map, or remove this one to start from the "
                           "beginning",
                           ignored.text);
        if (there)
            log_warning("%s; the copy starts from the beginning", ignored.text);
        return 0;
    }
    const char *why = reason_to_restart(w, map);
    if (why) {
        log_warning("%s: an earlier copy is not gone on from: %s", w->final, why);
        return 0;
    }
    if (!open_target(w, false, err)) {
        if (err->kind != ERR_INVALID)
            return -1;
        log_warning("%s; the copy starts from the beginning", err->text);
        return 0;
    }
    if (strcmp(map_info(map)->target_id, w->target->identity) != 0) {
        log_warning("%s: the map belongs to another image; the copy starts from the beginning",
                    w->map_path);
        target_close(TAKE_PTR(w->target));
        return 0;
    }
    w->map = TAKE_PTR(map);
    return 1;
}

static void
fill_info(const struct work *w, struct map_info *info)
{
    info->disk_bytes = w->source->bytes;
    info->work_id = work_id_of(w);
    info->complete = false;
    snprintf(info->source_id, sizeof info->source_id, "%s", w->source->identity);
    snprintf(info->target_id, sizeof info->target_id, "%s", w->target->identity);
}

/* Changed ranges into an image that is there: the map, if one is given, must be its. */
static int
open_for_ranges(struct work *w, struct err *err)
{
    if (!open_target(w, false, err))
        return -1;
    struct map_info info = { 0 };
    if (!w->map_path) {
        fill_info(w, &info);
        return map_create(NULL, &info, &w->map, err);
    }
    if (map_open(w->map_path, &w->map, err) < 0)
        return -1;
    info = *map_info(w->map);
    uint64_t work_id = work_id_of(w);
    if (info.disk_bytes != w->source->bytes || strcmp(info.target_id, w->target->identity) != 0)
        return err_set(err, ERR_INVALID, "%s: the map belongs to another image than %s",
                       w->map_path, w->final);
    if (!info.complete && info.work_id != work_id)
        return err_set(err, ERR_CONFLICT,
                       "%s: an earlier copy into this image was not finished: finish it first",
                       w->map_path);
    w->resume = true;
    bool same_source = w->source->identity[0] && strcmp(info.source_id, w->source->identity) == 0;
    if (!info.complete && same_source)
        return 0;
    if (!info.complete)
        log_warning(
            "%s: an earlier copy of these ranges is not gone on from: the source is not the "
            "one that it was begun with, or was changed since",
            w->final);
    for (size_t i = 0; i < w->ranges.n; i++) {
        const struct extent *range = &w->ranges.extents[i];
        if (map_fill(w->map, range->offset / CLUSTER_BYTES, div_up(range->len, CLUSTER_BYTES),
                     CLUSTER_UNKNOWN, err) < 0)
            return -1;
    }
    fill_info(w, &info);
    return map_set_info(w->map, &info, err);
}

static int
open_image(struct work *w, struct err *err)
{
    if (w->has_ranges)
        return open_for_ranges(w, err);
    int resumed = try_resume(w, err);
    if (resumed != 0) {
        w->resume = resumed > 0;
        return resumed < 0 ? -1 : 0;
    }
    if (!open_target(w, !target_is_in_place(w->image), err))
        return -1;
    struct map_info info = { 0 };
    fill_info(w, &info);
    return map_create(w->map_path, &info, &w->map, err);
}

/* ---- running ---- */

static int
copy_and_verify(struct work *w, struct job *job, struct err *err)
{
    struct copy_spec spec = {
        .source = w->source,
        .target = w->target,
        .map = w->map,
        .ranges = w->has_ranges ? &w->ranges : NULL,
        .resume = w->resume,
        .rate = &job->rate,
    };
    if (copy_disk(&spec, &job->progress, err) < 0)
        return -1;
    if (is_to_be_verified(w)) {
        atomic_store(&job->stage, JOB_STAGE_VERIFY);
        if (verify_run(w->target, w->map, &job->progress, err) < 0)
            return -1;
    }
    struct map_info info = *map_info(w->map);
    info.complete = true;
    info.work_id = 0;
    info.generation++;
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
    if (!w->owns_image || (w->in_place && w->has_ranges))
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
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "capacity_bytes", (json_int_t)w->source->bytes,
        "data_bytes", (json_int_t)atomic_load(&p->data_bytes), "zero_bytes",
        (json_int_t)atomic_load(&p->zero_bytes), "resumed_bytes",
        (json_int_t)atomic_load(&p->known_bytes), "read_bytes",
        (json_int_t)atomic_load(&p->read_bytes), "elapsed_ns", (json_int_t)elapsed_ns, "verified",
        atomic_load(&job->stage) == JOB_STAGE_VERIFY);
    const struct source_digest *digest = w->source->digest;
    if (detail && digest) {
        json_object_set_new(detail, "stream_bytes", json_integer((json_int_t)digest->bytes));
        json_object_set_new(detail, "stream_sha1", json_string(digest->sha1));
        json_object_set_new(detail, "stream_sha256", json_string(digest->sha256));
    }
    return detail;
}

/* ---- what the start message says of the source ---- */

static unsigned
get_unsigned(const json_t *obj, const char *key)
{
    return (unsigned)MIN(json_get_u64(obj, key, 0), (uint64_t)UINT_MAX);
}

/* The strings are those of the message. */
static void
fill_remote(struct job *job, const json_t *source, struct source_remote *ret)
{
    *ret = (struct source_remote){
        .name = json_get_str(source, "name", NULL),
        .identity = json_get_str(source, "identity", NULL),
        .uri = json_get_str(source, "uri", NULL),
        .cookie = json_get_str(source, "cookie", NULL),
        .thumbprint = json_get_str(source, "thumbprint", NULL),
        .ca = json_get_str(source, "ca", NULL),
        .connections = get_unsigned(source, "connections"),
        .libdir = json_get_str(source, "libdir", NULL),
        .config = json_get_str(source, "config", NULL),
        .server = json_get_str(source, "server", NULL),
        .port = get_unsigned(source, "port"),
        .nfc_port = get_unsigned(source, "nfc_port"),
        .user = json_get_str(source, "user", NULL),
        .password = json_get_str(source, "password", NULL),
        .vm = json_get_str(source, "vm", NULL),
        .snapshot = json_get_str(source, "snapshot", NULL),
        .path = json_get_str(source, "path", NULL),
        .transports = json_get_str(source, "transports", NULL),
        .renew = need_ask,
        .renew_arg = &job->need,
    };
}

static void
job_source_spec(struct job *job, struct source_spec *ret)
{
    const json_t *source = json_object_get(job->start, "source");
    *ret = (struct source_spec){
        .kind = json_get_str(source, "kind", NULL),
        .uri = json_get_str(source, "uri", NULL),
        .format = json_get_str(source, "format", NULL),
        .member = json_get_str(source, "member", NULL),
        .window_offset = json_get_u64(source, "window_offset", 0),
        .window_bytes = json_get_u64(source, "window_bytes", 0),
        .gzip = json_get_bool(source, "gzip", false),
        .capacity_bytes = json_get_u64(job->start, "capacity_bytes", 0),
    };
    ret->remote.name = json_get_str(source, "name", NULL);
    ret->remote.identity = json_get_str(source, "identity", NULL);
    if (ret->kind && strcmp(ret->kind, "file") != 0)
        fill_remote(job, source, &ret->remote);
}

/* The source has its own copies of what it still needs. */
static void
wipe_secrets(json_t *start)
{
    json_t *source = json_object_get(start, "source");
    json_wipe_str(source, "password");
    json_wipe_str(source, "cookie");
    if (strcmp(json_get_str(source, "kind", ""), "export") == 0)
        json_wipe_str(source, "uri");
}
