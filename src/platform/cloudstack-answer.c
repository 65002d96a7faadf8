/* What an answer of CloudStack's means: the envelope, and the errors wherever they hide. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/checked.h"
#include "base/clock.h"
#include "platform/cloudstack-call.h"

#define BUSY_PAUSE_MS 1000
#define RATE_PAUSE_MAX_MS 5000
#define SHOWN_MAX 500 /* bytes of the server's words */
#define KEY_SUFFIX "response"

struct answer {
    const struct cloudstack *cloud;
    const struct cloudstack_call *call;
    int status;
    int code;         /* 0: none is in the body */
    const char *text; /* never NULL */
};

static void note_clock(struct cloudstack *cloud, const struct http_response *response);
static json_t *open_envelope(struct http_response *response);
static int no_api(const struct answer *answer, const struct http_response *response,
                  struct err *err);
static int failed(const struct answer *answer, struct err *err);
static int pause_of(const struct answer *answer);

int
cloudstack_read_answer(struct cloudstack *cloud, const struct cloudstack_call *call,
                       struct http_response *response, json_t **ret, int *ret_pause_ms,
                       struct err *err)
{
    struct answer answer = { .cloud = cloud, .call = call, .status = response->status, .text = "" };
    note_clock(cloud, response);
    auto_json json_t *content = open_envelope(response);
    if (content) {
        answer.code = (int)json_get_int(content, "errorcode", 0);
        answer.text = json_get_str(content, "errortext", "");
    }
    if (content && answer.code == 0 && response->status == 200) {
        *ret = TAKE_PTR(content);
        return 0;
    }
    if (answer.code == 0)
        answer.code = response->status;
    cloud->code = answer.code;
    *ret_pause_ms = pause_of(&answer);
    return content || answer.code == 503 || answer.code == 429 ? failed(&answer, err)
                                                               : no_api(&answer, response, err);
}

/* ---- the clock ---- */

/* "Sun, 06 Nov 1994 08:49:37 GMT". */
static bool
parse_date(const char *text, int64_t *ret_s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4] = "";
    struct tm tm = { .tm_year = 0 };
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", &tm.tm_mday, month,
               &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
        return false;
    const char *found = strlen(month) == 3 ? strstr(months, month) : NULL;
    if (!found || (found - months) % 3 != 0 || tm.tm_year < 1970)
        return false;
    tm.tm_mon = (int)(found - months) / 3;
    tm.tm_year -= 1900;
    *ret_s = timegm(&tm);
    return true;
}

static void
note_clock(struct cloudstack *cloud, const struct http_response *response)
{
    int64_t theirs_s;
    const char *date = http_header(&response->headers, "Date");
    if (date && parse_date(date, &theirs_s))
        cloud->skew_s = theirs_s - clock_wall_s();
}

/* ---- the envelope ---- */

/* The server turns \u escapes back into the characters they stand for, and JSON has no place for
 * control characters: what is below a space becomes one. NULL: it is none. */
static json_t *
open_envelope(struct http_response *response)
{
    struct err why = ERR_INIT;
    const char *key;
    json_t *value;
    for (size_t i = 0; i < response->body.len; i++)
        if ((unsigned char)response->body.data[i] < 0x20)
            response->body.data[i] = ' ';
    if (response->body.len == 0)
        return NULL;
    auto_json json_t *top = json_parse_object(response->body.data, response->body.len, &why);
    json_object_foreach (top, key, value) {
        size_t len = strlen(key);
        if (len >= strlen(KEY_SUFFIX) &&
            strcasecmp(key + len - strlen(KEY_SUFFIX), KEY_SUFFIX) == 0 && json_is_object(value))
            return json_incref(value);
    }
    return NULL;
}

/* Something else answers there. */
static int
no_api(const struct answer *answer, const struct http_response *response, struct err *err)
{
    const char *server = answer->cloud->server,
               *where = http_header(&response->headers, "Location");
    if (answer->status >= 300 && answer->status < 400)
        return err_set(err, ERR_INVALID,
                       "%s: %s (%s): HTTP status %d sends one to %.200s: give the address of the "
                       "API itself as cloudstack.endpoint",
                       server, answer->call->what, answer->call->command, answer->status,
                       where ? where : "another address");
    if (answer->status >= 500)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: %s (%s): HTTP status %d from what stands before the API: see whether "
                       "the management server runs",
                       server, answer->call->what, answer->call->command, answer->status);
    return err_set(err, ERR_INVALID,
                   "%s: %s (%s): HTTP status %d and nothing that is an answer of CloudStack's API: "
                   "check cloudstack.endpoint, which ends in /client/api",
                   server, answer->call->what, answer->call->command, answer->status);
}

/* ---- errors ---- */

static const struct {
    int code;
    enum err_kind kind;
    const char *hint;
} codes[] = {
    { 400, ERR_INVALID, "it does not take such a request" },
    { 401, ERR_DENIED,
      "see that cloudstack.api_key and secret_key belong together and to an enabled user, that "
      "this "
      "address may use them, and that the user's role has this command" },
    { 429, ERR_UNAVAILABLE, "too many calls in a short time: try again later" },
    { 430, ERR_BUG, "a parameter that is a map is malformed" },
    { 431, ERR_INVALID, "it does not take a parameter as it is" },
    { 432, ERR_NOT_FOUND, "this release, or the role of the key's user, has no such command" },
    { 503, ERR_UNAVAILABLE,
      "the management server starts, stops or is under maintenance: try again later" },
    { 511, ERR_DENIED, "a second factor is wanted: use an API key" },
    { 530, ERR_UNAVAILABLE, "an error inside of the management server, whose log says more" },
    { 531, ERR_DENIED, "the account of the key may not do this: use the key of a root admin" },
    { 532, ERR_CONFLICT, "a limit of the account is reached: raise it" },
    { 533, ERR_UNAVAILABLE, "no capacity is left" },
    { 534, ERR_UNAVAILABLE, "something it needs is away: try again later" },
    { 535, ERR_CONFLICT, "a limit of the account, project or domain is reached: raise it" },
    { 536, ERR_CONFLICT, "it is in use" },
    { 537, ERR_CONFLICT, "a rule of the network stands against it" },
};

static int
failed(const struct answer *answer, struct err *err)
{
    enum err_kind kind = answer->code >= 500 ? ERR_UNAVAILABLE : ERR_INVALID;
    const char *hint = "the management server's log may say more";
    int64_t skew_s = answer->cloud->skew_s;
    char clock[128] = "";
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == answer->code) {
            kind = codes[i].kind;
            hint = codes[i].hint;
        }
    if (answer->code == 401 && (skew_s > CLOUDSTACK_SKEW_MAX_S || skew_s < -CLOUDSTACK_SKEW_MAX_S))
        snprintf(clock, sizeof clock,
                 "; its clock is %" PRId64 " s %s the one here, which alone may be why: set both "
                 "right",
                 skew_s < 0 ? -skew_s : skew_s, skew_s < 0 ? "behind" : "ahead of");
    return err_set(err, kind, "%s: %s (%s): error %d: %.*s%s%s%s", answer->cloud->server,
                   answer->call->what, answer->call->command, answer->code, SHOWN_MAX, answer->text,
                   *answer->text ? ": " : "", hint, clock);
}

/* Of a rate limit its text says how long: "... after 734 ms". */
static int
pause_of(const struct answer *answer)
{
    if (answer->code == 503)
        return BUSY_PAUSE_MS;
    if (answer->code != 429)
        return 0;
    const char *digits = answer->text + strcspn(answer->text, "0123456789");
    unsigned long ms = *digits ? strtoul(digits, NULL, 10) : BUSY_PAUSE_MS;
    return (int)MAX(MIN(ms, (unsigned long)RATE_PAUSE_MAX_MS), 1UL);
}
