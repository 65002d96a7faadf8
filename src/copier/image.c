#include "copier/work.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/fd.h"
#include "base/log.h"

/* Of what is copied: another number, other work. */
static uint64_t
work_id_of(const struct work *w)
{
    static const char comparison[] = "comparison";
    if (!w->has_ranges && !w->compare)
        return 0;
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return 1;
    XXH3_64bits_reset(state);
    if (w->compare)
        XXH3_64bits_update(state, comparison, sizeof comparison);
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
        .format = json_get_str(work_target(w), "format", "raw"),
        .bytes = w->source->bytes,
        .create = create,
        .preallocate = json_get_bool(work_target(w), "preallocate", false),
        .stop = &w->job->progress.stop,
        .open_nbd = copier_program.open_nbd,
    };
    if (target_open(&spec, &w->target, err) < 0)
        return false;
    w->owns_image = true;
    return true;
}

static bool
is_same_moment(const struct work *w, const struct map_info *info)
{
    return strcmp(info->source_id, w->source->identity) == 0;
}

static const char *
stale_given(const struct work *w)
{
    return json_get_str(w->job->start, "stale", NULL);
}

/* Why the map that is there cannot be gone on from; NULL: it can. */
static const char *
reason_to_restart(const struct work *w, const struct map *map)
{
    const struct map_info *info = map_info(map);
    if (w->source->identity[0] == '\0')
        return "this source can only be read from its beginning";
    if (info->disk_bytes != w->source->bytes || (!is_same_moment(w, info) && !stale_given(w)))
        return "the source is not the one that it was begun with, or was changed since";
    if (info->work_id != 0)
        return "changes were being copied into it";
    if (info->complete && w->in_place)
        return "it was finished, and the target may have been written to since";
    struct stat st;
    if (!w->in_place && stat(w->image, &st) < 0)
        return "the image is gone";
    return NULL;
}

/* The name of the map of an earlier run. One that ended between its two last steps has given the
 * map its last name already, and the image not yet. */
static const char *
earlier_map(const struct work *w)
{
    bool half_way = w->kept_map_path && access(w->map_path, F_OK) < 0 &&
                    access(w->kept_map_path, F_OK) == 0 && access(w->image, F_OK) == 0;
    return half_way ? w->kept_map_path : w->map_path;
}

static void fill_info(const struct work *w, struct map_info *info);
static int forget(struct map *map, const struct extent_list *ranges, struct err *err);

/* Bytes of an earlier moment, of which the list says what has changed since: they are of now when
 * that is forgotten. First the records, then whose they are; in between it is an older copy still,
 * that knows a little less. */
static int
take_over(struct work *w, struct map *map, struct err *err)
{
    auto_extents struct extent_list stale = { 0 };
    struct map_info info = *map_info(map);
    if (ranges_read(stale_given(w), w->source->bytes, &stale, err) < 0 ||
        forget(map, &stale, err) < 0 || map_flush(map, err) < 0)
        return -1;
    fill_info(w, &info);
    return map_set_info(map, &info, err);
}

/* Open map and image of an earlier run. 1: to be gone on from; 0: start again. */
static int
try_resume(struct work *w, struct err *err)
{
    struct err ignored = ERR_INIT;
    auto_map struct map *map = NULL;
    const char *path = earlier_map(w);
    if (!path || map_open(path, &map, &ignored) < 0) {
        bool there = path && ignored.kind != ERR_NOT_FOUND;
        if (there && work_map_given(w)) /* a slip of the pen must not cost a file */
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
                    path);
        target_close(TAKE_PTR(w->target));
        return 0;
    }
    if (!is_same_moment(w, map_info(map)) && take_over(w, map, err) < 0)
        return -1;
    w->map_has_last_name = path != w->map_path;
    w->map = TAKE_PTR(map);
    return 1;
}

/* The changeId stays: what it stands for is still what this image can be brought on from. */
static void
fill_info(const struct work *w, struct map_info *info)
{
    info->disk_bytes = w->source->bytes;
    info->work_id = work_id_of(w);
    info->complete = false;
    info->compared_bytes = 0;
    snprintf(info->source_id, sizeof info->source_id, "%s", w->source->identity);
    snprintf(info->target_id, sizeof info->target_id, "%s", w->target->identity);
}

/* Of a copy into this image that was not finished: can this one be the next? The map's records are
 * true at any moment, so what reads the whole disk may always follow. */
static int
check_unfinished(const struct work *w, const struct map_info *info, uint64_t work_id,
                 struct err *err)
{
    if (info->complete || info->work_id == work_id || (w->compare && !w->has_ranges) ||
        json_get_bool(w->job->start, "supersede", false))
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "%s: an earlier copy into this image was not finished: finish it first",
                   w->map_path);
}

static int
forget(struct map *map, const struct extent_list *ranges, struct err *err)
{
    for (size_t i = 0; i < ranges->n; i++) {
        const struct extent *range = &ranges->extents[i];
        if (map_fill(map, range->offset / CLUSTER_BYTES, div_up(range->len, CLUSTER_BYTES),
                     CLUSTER_UNKNOWN, err) < 0)
            return -1;
    }
    return 0;
}

/* Changes into an image that is there: the map, if one is given, must be its. */
static int
open_for_delta(struct work *w, struct err *err)
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
    if (check_unfinished(w, &info, work_id, err) < 0)
        return -1;
    w->resume = true;
    bool same_source = w->source->identity[0] && strcmp(info.source_id, w->source->identity) == 0;
    if (!info.complete && info.work_id == work_id && same_source)
        return 0;
    if (!info.complete && info.work_id == work_id)
        log_warning("%s: an earlier copy into this image is not gone on from: the source is not "
                    "the one that it was begun with, or was changed since",
                    w->final);
    /* A comparison needs the old records, and forgets each in its turn. */
    if (!w->compare && forget(w->map, &w->ranges, err) < 0)
        return -1;
    fill_info(w, &info);
    return map_set_info(w->map, &info, err);
}

int
work_open_image(struct work *w, struct err *err)
{
    if (w->compare || w->has_ranges)
        return open_for_delta(w, err);
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
