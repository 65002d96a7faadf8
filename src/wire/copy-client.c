#include "wire/copy-client.h"

#include "wire/copy-pool.h"

int
copy_run(const struct copy_request *request, const struct copy_watch *watch,
         struct copy_result *ret_result, struct err *err)
{
    auto_copy_pool struct copy_pool *pool = NULL;
    unsigned ticket;
    if (copy_pool_new(&pool, err) < 0 || copy_pool_start(pool, request, watch, &ticket, err) < 0)
        return -1;
    struct copy_result result;
    struct err failure = ERR_INIT;
    while (!copy_pool_next_ended(pool, &ticket, &result, &failure))
        copy_pool_step(pool, -1);
    if (failure.kind != ERR_NONE) {
        *err = failure;
        return -1;
    }
    *ret_result = result;
    return 0;
}

void
copy_result_progress(const struct copy_result *result, struct copy_progress *ret_progress)
{
    double seconds = (double)result->elapsed_ns / 1e9;
    double bytes = (double)(result->data_bytes + result->zero_bytes);
    *ret_progress = (struct copy_progress){
        .stage = "copy",
        .done_bytes = result->capacity_bytes,
        .total_bytes = result->capacity_bytes,
        .data_bytes = result->data_bytes,
        .rate_bytes_s = seconds > 0 ? (uint64_t)(bytes / seconds) : 0,
        .eta_s = -1,
    };
}
