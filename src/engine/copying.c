#include "engine/copying.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/size.h"
#include "engine/live.h"
#include "wire/copy-pool.h"

#define STEP_NS (200 * NS_PER_MS)
#define SLOT_NS (10 * NS_PER_MS) /* how soon a slot that was given is noticed */

/* One disk on its way. */
struct lane {
    struct crew *crew;
    size_t disk;
    unsigned ticket;
    bool running;
    double part; /* of it that is done */
    struct copy_request request;
    struct copy_watch watch;
};

struct crew {
    struct migration *m;
    struct copying *copying;
    struct copy_pool *pool;
    struct lane *lanes; /* one a disk */
    size_t next;        /* the first disk that was not looked at yet */
    unsigned running, wanted;
    uint64_t limit_bytes_s;
    struct err failed; /* the first failure; the rest is being stopped */
};

static int work(struct crew *crew, struct err *err);
static void start_more(struct crew *crew);
static int start_disk(struct crew *crew, size_t i, struct err *err);
static void take_ended(struct crew *crew);
static bool try_another_way(struct crew *crew, struct lane *lane, const struct err *failure);
static int end_disk(struct crew *crew, struct lane *lane, const struct copy_result *result,
                    struct err *err);
static void fail(struct crew *crew, const struct err *err);
static void want_slots(const struct crew *crew, unsigned disks);
static void give_slots_back(const struct crew *crew);

int
copying_run(struct migration *m, struct copying *copying, struct err *err)
{
    struct crew crew = { .m = m, .copying = copying };
    for (size_t i = 0; i < m->vm->n_disks; i++)
        crew.wanted += copying->disks[i].wanted;
    if (crew.wanted == 0)
        return 0;
    auto_free struct lane *lanes = calloc(m->vm->n_disks, sizeof *lanes);
    auto_copy_pool struct copy_pool *pool = NULL;
    if (!lanes)
        return err_set(err, ERR_UNAVAILABLE, "no memory for the copies of %zu disks",
                       m->vm->n_disks);
    if (copy_pool_new(&pool, err) < 0)
        return -1;
    crew.lanes = lanes;
    crew.pool = pool;
    want_slots(&crew, MIN(crew.wanted, m->job->parallel_disks));
    int r = work(&crew, err);
    give_slots_back(&crew);
    return r;
}

void
copying_free(struct copying *copying)
{
    for (size_t i = 0; i < VM_MAX_DISKS; i++) {
        free(TAKE_PTR(copying->disks[i].ranges_path));
        free(TAKE_PTR(copying->disks[i].stale_path));
    }
}

static bool
is_over(const struct crew *crew)
{
    bool nothing_more = crew->failed.kind != ERR_NONE || crew->next == crew->m->vm->n_disks;
    return nothing_more && crew->running == 0;
}

static int
work(struct crew *crew, struct err *err)
{
    const struct migration *m = crew->m;
    while (!is_over(crew)) {
        struct err stopped = ERR_INIT;
        if (crew->failed.kind == ERR_NONE && job_checkpoint(m, &stopped) < 0)
            fail(crew, &stopped);
        uint64_t limit =
            m->watch->wishes ? migration_wishes(m)->limit_bytes_s : m->job->limit_bytes_s;
        if (limit != crew->limit_bytes_s) {
            crew->limit_bytes_s = limit;
            copy_pool_limit(crew->pool, limit);
        }
        start_more(crew);
        if (crew->running > 0)
            copy_pool_step(crew->pool, clock_now_ns() + STEP_NS);
        else if (!is_over(crew)) { /* the host serves others now */
            source_tick(m->source, 0, 0);
            clock_sleep_until_ns(clock_now_ns() + SLOT_NS);
        }
        take_ended(crew);
    }
    if (crew->failed.kind == ERR_NONE)
        return 0;
    *err = crew->failed;
    return -1;
}

/* ---- slots ---- */

static void
want_slots(const struct crew *crew, unsigned disks)
{
    const struct migration *m = crew->m;
    struct live_machine machine = { .host = "" };
    if (!m->watch->want)
        return;
    if (m->source->live)
        m->source->live->machine(m->source, &machine);
    m->watch->want(machine.host, crew->copying->priority, disks, m->watch->arg);
}

static void
give_slots_back(const struct crew *crew)
{
    const struct engine_watch *watch = crew->m->watch;
    if (!watch->want)
        return;
    want_slots(crew, 0);
    unsigned left = watch->granted(watch->arg);
    if (left > 0)
        watch->freed(left, watch->arg);
}

static unsigned
places(const struct crew *crew)
{
    const struct migration *m = crew->m;
    unsigned places = m->job->parallel_disks;
    return m->watch->granted ? MIN(places, m->watch->granted(m->watch->arg)) : places;
}

/* A slot that is given back is wanted again as long as disks wait. */
static void
free_slot(const struct crew *crew)
{
    const struct migration *m = crew->m;
    unsigned waiting = 0;
    if (!m->watch->freed)
        return;
    for (size_t i = crew->next; i < m->vm->n_disks; i++)
        waiting += crew->copying->disks[i].wanted;
    if (waiting == 0 || crew->failed.kind != ERR_NONE)
        m->watch->freed(1, m->watch->arg);
}

/* ---- one disk ---- */

static void
start_more(struct crew *crew)
{
    const struct migration *m = crew->m;
    struct err err = ERR_INIT;
    while (crew->failed.kind == ERR_NONE && crew->next < m->vm->n_disks) {
        if (!crew->copying->disks[crew->next].wanted) {
            crew->next++;
            continue;
        }
        if (crew->running >= places(crew))
            return;
        if (start_disk(crew, crew->next, &err) < 0)
            fail(crew, &err);
        crew->next++;
    }
}

static void
show_progress(const struct copy_progress *copied, void *arg)
{
    struct lane *lane = arg;
    const struct crew *crew = lane->crew;
    char letters[4], name[16];
    double parts = 0;
    snprintf(name, sizeof name, "sd%s", vm_drive_letters(lane->disk, letters));
    lane->part = copied->total_bytes ? (double)copied->done_bytes / (double)copied->total_bytes : 0;
    for (size_t i = 0; i < crew->m->vm->n_disks; i++)
        parts += crew->copying->disks[i].wanted ? crew->lanes[i].part : 1;
    struct engine_progress progress = {
        .disk = name,
        .done_bytes = copied->done_bytes,
        .total_bytes = copied->total_bytes,
        .data_bytes = copied->data_bytes,
        .rate_bytes_s = copied->rate_bytes_s,
        .eta_s = copied->eta_s,
        .pct = (int)(parts / (double)crew->m->vm->n_disks * 100.0),
    };
    migration_progress(crew->m, &progress);
}

static void
show_log(enum log_level level, const char *text, void *arg)
{
    const struct lane *lane = arg;
    migration_log(lane->crew->m, level, NULL, "%s", text);
}

static enum child_wish
ask_wish(void *arg)
{
    const struct lane *lane = arg;
    source_tick(lane->crew->m->source, lane->disk, (unsigned)(lane->part * 100.0));
    return CHILD_GO_ON; /* stopping is said to all at once */
}

static int
answer_need(const char *what, char **ret_value, void *arg, struct err *err)
{
    const struct lane *lane = arg;
    return source_need(lane->crew->m->source, lane->disk, what, ret_value, err);
}

static int
start_disk(struct crew *crew, size_t i, struct err *err)
{
    struct migration *m = crew->m;
    const struct copying_disk *disk = &crew->copying->disks[i];
    struct lane *lane = &crew->lanes[i];
    if (disk->how == COPYING_WHOLE)
        migration_say(m, "Copying disk %zu/%zu", i + 1, m->vm->n_disks);
    *lane = (struct lane){
        .crew = crew,
        .disk = i,
        .request = {
            .stdin_fd = -1,
            .target_uri = m->paths.disks[i],
            .target_format = m->job->disk_format,
            .preallocate = m->job->preallocated && disk->how == COPYING_WHOLE,
            .capacity_bytes = m->vm->disks[i].capacity_bytes,
            .verify = disk->verify,
            .compare = disk->how == COPYING_COMPARE,
            .ranges_path = disk->ranges_path,
            .stale_path = disk->stale_path,
            .map_path = crew->copying->keep_maps ? m->paths.maps[i] : NULL,
            .keep_map = crew->copying->keep_maps,
            .supersede = disk->how != COPYING_WHOLE,
        },
        .watch = {
            .progress = show_progress,
            .log = show_log,
            .wish = ask_wish,
            .need = answer_need,
            .arg = lane,
        },
    };
    if (source_begin_disk(m->source, i, &lane->request, err) < 0)
        return -1;
    if (copy_pool_start(crew->pool, &lane->request, &lane->watch, &lane->ticket, err) < 0) {
        source_end_disk(m->source, i, NULL, err);
        return -1;
    }
    lane->running = true;
    crew->running++;
    return 0;
}

static void
take_ended(struct crew *crew)
{
    unsigned ticket;
    for (;;) {
        struct copy_result result;
        struct err err = ERR_INIT;
        if (!copy_pool_next_ended(crew->pool, &ticket, &result, &err))
            return;
        for (size_t i = 0; i < crew->m->vm->n_disks; i++) {
            struct lane *lane = &crew->lanes[i];
            if (!lane->running || lane->ticket != ticket)
                continue;
            lane->running = false;
            crew->running--;
            if (err.kind != ERR_NONE && try_another_way(crew, lane, &err))
                continue;
            free_slot(crew);
            if (end_disk(crew, lane, err.kind == ERR_NONE ? &result : NULL, &err) < 0)
                fail(crew, &err);
        }
    }
}

/* An image is made when its source is open; one of an earlier run is worth more than another way.
 */
static bool
is_begun(const struct crew *crew, const struct lane *lane)
{
    if (crew->copying->disks[lane->disk].how != COPYING_WHOLE)
        return lane->part > 0;
    return access(crew->m->paths.disks[lane->disk], F_OK) == 0 ||
           migration_has_part(crew->m, lane->disk);
}

/* True: it runs again, in another way, or that has failed, too. */
static bool
try_another_way(struct crew *crew, struct lane *lane, const struct err *failure)
{
    struct source *source = crew->m->source;
    struct err why = *failure;
    if (crew->failed.kind != ERR_NONE || is_begun(crew, lane) ||
        !source_fall_back(source, lane->disk, failure))
        return false;
    source_end_disk(source, lane->disk, NULL, &why);
    struct err err = ERR_INIT;
    if (start_disk(crew, lane->disk, &err) < 0)
        fail(crew, &err);
    return true;
}

static int
end_disk(struct crew *crew, struct lane *lane, const struct copy_result *result, struct err *err)
{
    struct migration *m = crew->m;
    struct copying_disk *disk = &crew->copying->disks[lane->disk];
    if (!result) {
        source_end_disk(m->source, lane->disk, NULL, err);
        return -1;
    }
    if (source_end_disk(m->source, lane->disk, result, err) < 0)
        return -1;
    disk->done = true;
    disk->result = *result;
    m->data_bytes += result->data_bytes;
    if (disk->how != COPYING_WHOLE)
        return 0;
    struct copy_progress all;
    char data[SIZE_TEXT_MAX];
    copy_result_progress(result, &all);
    show_progress(&all, lane);
    migration_log(m, LOG_LEVEL_INFO, NULL, "disk %zu: %s of data in %.1f s", lane->disk + 1,
                  size_format(result->data_bytes, data), (double)result->elapsed_ns / 1e9);
    return 0;
}

/* Of several failures the first is the cause. One that was stopped by it is none. */
static void
fail(struct crew *crew, const struct err *err)
{
    if (crew->failed.kind != ERR_NONE)
        return;
    crew->failed = *err;
    copy_pool_cancel(crew->pool);
}
