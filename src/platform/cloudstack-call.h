/* One call of CloudStack's API and what may come back. For cloudstack-*.c only. */
#ifndef PLATFORM_CLOUDSTACK_CALL_H
#define PLATFORM_CLOUDSTACK_CALL_H

#include "platform/cloudstack-sign.h"
#include "platform/cloudstack.h"
#include "wire/http.h"
#include "wire/json.h"
#include "wire/url.h"

#define CLOUDSTACK_CALL_PARAMS 12
#define CLOUDSTACK_ANSWER_MAX ((size_t)16 << 20)
#define CLOUDSTACK_MAX_ROWS 100000 /* of a list */
#define CLOUDSTACK_TRIES 4
#define CLOUDSTACK_LIFETIME_S 600 /* how long a signature is good; the server takes at most 900 */

struct cloudstack {
    struct http *http;
    char *url, *api_key, *secret_key; /* the keys are secrets */
    char server[URL_ENDPOINT_MAX];
    int timeout_ms;
    bool (*cancelled)(void *arg);
    void *cancelled_arg;
    bool answered; /* at some time: a failure may pass */
    int64_t skew_s;
    int code; /* of the last error that the server sent; 0: it sent none */
};

/* That does not change anything. A NULL or "" value is not sent. */
struct cloudstack_call {
    const char *command; /* "listZones" */
    const char *what;    /* "find the zone 'z1'", for the error's text */
    struct cloudstack_param params[CLOUDSTACK_CALL_PARAMS]; /* to the first without a name */
};

/* Send it, again where that may help; *ret, the caller's, is what is in the envelope. */
int cloudstack_ask(struct cloudstack *cloud, const struct cloudstack_call *call, json_t **ret,
                   struct err *err);

/* All rows of a list, whatever number the server gives at once. object is what it calls the array.
 * each returns -1 (an error), 0, or 1: enough. At most CLOUDSTACK_MAX_ROWS. */
typedef int cloudstack_row_fn(const json_t *row, void *arg, struct err *err);
int cloudstack_list(struct cloudstack *cloud, const struct cloudstack_call *call,
                    const char *object, cloudstack_row_fn *each, void *arg, struct err *err);

/* What an answer is: *ret its content, or the error that is in it; *ret_pause_ms says when it
 * may be worth another try; 0: it is not. (cloudstack-answer.c) */
int cloudstack_read_answer(struct cloudstack *cloud, const struct cloudstack_call *call,
                           struct http_response *response, json_t **ret, int *ret_pause_ms,
                           struct err *err);

#endif
