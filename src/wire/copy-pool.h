/* Several copies at once, each in a process of its own, from one thread.
 *
 *     copy_pool_start(pool, &request, &watch, &ticket, err);  as many as wanted
 *     copy_pool_step(pool, clock_now_ns() + NS_PER_S);        again and again
 *     copy_pool_next_ended(pool, &ticket, &result, &failure); what has ended meanwhile
 *
 * A vmferry-copy-vddk that crashes is started again, as copy_run says. All calls are one thread's,
 * which must outlive the pool.
 */
#ifndef WIRE_COPY_POOL_H
#define WIRE_COPY_POOL_H

#include "wire/copy-client.h"

/* Copies that run, or have ended and were not asked for. */
#define COPY_POOL_MAX 256

struct copy_pool;

int copy_pool_new(struct copy_pool **ret, struct err *err);

/* Nothing is left running: what still runs is killed. NULL is fine. */
void copy_pool_free(struct copy_pool *pool);
static inline void
copy_pool_cleanup(struct copy_pool **pool)
{
    copy_pool_free(*pool);
}
#define auto_copy_pool AUTO(copy_pool_cleanup)

/* Start one. request, watch and all that they point to must stay until next_ended has given its
 * ticket out. watch's functions are called by copy_pool_step alone; its wish as child_spec.wish,
 * beside copy_pool_cancel. *ret_ticket: a number of this pool's that no other copy gets. Errors: it
 * could not be started; ERR_CONFLICT: COPY_POOL_MAX are there. */
int copy_pool_start(struct copy_pool *pool, const struct copy_request *request,
                    const struct copy_watch *watch, unsigned *ret_ticket, struct err *err);

/* Wait until one of them has something to say, or their wishes are to be asked for (within 200 ms),
 * or the deadline (clock_now_ns; negative: none), then hear all. Returns at once when none runs or
 * one has ended. */
void copy_pool_step(struct copy_pool *pool, int64_t deadline_ns);

/* Copies that run. */
unsigned copy_pool_running(const struct copy_pool *pool);

/* False: none has ended. True: the one of *ret_ticket has, and is forgotten. Its *ret_result is
 * there when *ret_failure is left ERR_NONE; else that says why, as copy_run would. */
bool copy_pool_next_ended(struct copy_pool *pool, unsigned *ret_ticket,
                          struct copy_result *ret_result, struct err *ret_failure);

/* All copies together: at most so many bytes a second, an equal share each and again at each start
 * and end; below it the limit of a request still holds. 0: none. */
void copy_pool_limit(struct copy_pool *pool, uint64_t bytes_s);

/* Wish that all that run now stop; they end with ERR_CANCELLED, and the same requests go on where
 * they stopped. */
void copy_pool_cancel(struct copy_pool *pool);

#endif
