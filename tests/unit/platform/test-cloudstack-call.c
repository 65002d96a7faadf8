#include "platform/cloudstack-call.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "cloud-double.h"

#define ZONE_ID "cef2f153-1155-46a5-98ac-a24000000001"
#define ZONE(id, name)                                                                             \
    "{\"id\":\"" id "\",\"name\":\"" name "\",\"networktype\":\"Advanced\","                       \
    "\"allocationstate\":\"Enabled\"}"
#define LIST(command, count, object, rows)                                                         \
    "{\"" command "response\":{\"count\":" count ",\"" object "\":[" rows "]}}"
#define FAULT(command, code, text)                                                                 \
    "{\"" command "response\":{\"uuidList\":[],\"errorcode\":" code ",\"errortext\":\"" text "\"}" \
    "}"

static const struct cloudstack_call zones = { .command = "listZones", .what = "look at the zones" };

static int
setup(void **state)
{
    clock_fake_ns(NS_PER_S);
    *state = cloud_new();
    return 0;
}

static int
teardown(void **state)
{
    cloudstack_free(*state);
    cloud_done();
    clock_fake_ns(-1);
    return 0;
}

static json_t *
ask(struct cloudstack *cloud, const struct cloudstack_call *call)
{
    struct err err = ERR_INIT;
    json_t *content = NULL;
    if (cloudstack_ask(cloud, call, &content, &err) < 0)
        fail_msg("%s", err.text);
    return content;
}

static void
assert_fails(struct cloudstack *cloud, enum err_kind kind, const char *const *texts)
{
    struct err err = ERR_INIT;
    json_t *content = NULL;
    assert_int_equal(cloudstack_ask(cloud, &zones, &content, &err), -1);
    if (err.kind != kind)
        fail_msg("%s, wanted %s: %s", err_kind_name(err.kind), err_kind_name(kind), err.text);
    for (; *texts; texts++)
        if (!strstr(err.text, *texts))
            fail_msg("no '%s' in: %s", *texts, err.text);
    assert_null(strstr(err.text, CLOUD_SECRET));
    assert_null(strstr(err.text, CLOUD_API_KEY));
    assert_null(strstr(err.text, "signature="));
}
#define FAILS(cloud, kind, ...)                                                                    \
    assert_fails(cloud, kind, (const char *const[]){ __VA_ARGS__, NULL })

/* ---- requests ---- */

static void
a_call_is_posted_signed_and_expires(void **state)
{
    static const struct cloud_answer answers[] = { {
        .expect = { "https://cloud.test:8443/client/api\n", "apiKey=" CLOUD_API_KEY "&",
                    "&command=listZones&", "&details%5B0%5D.x=a%20b%7E&",
                    "&response=json&signatureVersion=3&signature=" },
        .forbid = CLOUD_SECRET,
        .status = 200,
        .body = "{\"listzonesresponse\":{}}",
    } };
    const struct cloudstack_call call = {
        .command = "listZones",
        .what = "look",
        .params = { { "details[0].x", "a b~" }, { "empty", "" }, { "null", NULL } },
    };
    PLAY(answers);
    auto_json json_t *content = ask(*state, &call);
    assert_int_equal(json_object_size(content), 0);
    assert_null(strstr(cloud_last_request(), "empty"));
    const char *expires = strstr(cloud_last_request(), "&expires=20");
    assert_non_null(expires);
    assert_non_null(strstr(expires, "%2B0000&"));
    const char *signature = strstr(cloud_last_request(), "&signature=") + strlen("&signature=");
    assert_string_equal(signature + strlen(signature) - 3, "%3D");
}

static void
endpoints_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct cloudstack_options options;
        const char *text;
    } bad[] = {
        { { .endpoint = "ftp://cloud/client/api", .api_key = "k", .secret_key = "s" }, "https://" },
        { { .endpoint = "https://u@cloud/client/api", .api_key = "k", .secret_key = "s" }, "user" },
        { { .endpoint = "https://cloud/api?x=1", .api_key = "k", .secret_key = "s" }, "query" },
        { { .endpoint = "https://cloud/client/api", .api_key = "k" }, "secret_key" },
        { { .api_key = "k", .secret_key = "s" }, "endpoint" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        struct cloudstack *cloud = NULL;
        assert_int_equal(cloudstack_new(&bad[i].options, &cloud, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, bad[i].text))
            fail_msg("no '%s' in: %s", bad[i].text, err.text);
    }
}

/* ---- errors ---- */

static void
each_code_has_its_kind(void **state)
{
    static const struct {
        struct cloud_answer answer;
        enum err_kind kind;
        const char *text;
    } cases[] = {
        { { .status = 401, .body = FAULT("listzones", "401", "unable to verify user credentials") },
          ERR_DENIED,
          "unable to verify user credentials" },
        { { .status = 431, .body = FAULT("listzones", "431", "Invalid parameter id") },
          ERR_INVALID,
          "Invalid parameter id" },
        { { .status = 432, .body = FAULT("error", "432", "no such command") },
          ERR_NOT_FOUND,
          "release" },
        { { .status = 530, .body = FAULT("listzones", "530", "null") }, ERR_UNAVAILABLE, "log" },
        { { .status = 531, .body = FAULT("listzones", "531", "no") }, ERR_DENIED, "root admin" },
        { { .status = 535, .body = FAULT("listzones", "535", "limit") }, ERR_CONFLICT, "raise it" },
        { { .status = 200, .body = FAULT("listzones", "431", "hidden behind 200") },
          ERR_INVALID,
          "hidden behind 200" },
        { { .status = 499, .body = "{\"listzonesresponse\":{}}" }, ERR_INVALID, "error 499" },
        { { .status = 404, .body = "<html>" }, ERR_INVALID, "/client/api" },
        { { .status = 200, .body = "" }, ERR_INVALID, "/client/api" },
        { { .status = 200, .body = "{\"zones\":{}}" }, ERR_INVALID, "/client/api" },
        { { .status = 302, .header = "Location: https://other/", .body = "" },
          ERR_INVALID,
          "https://other/" },
        { { .status = 502, .body = "Bad Gateway" }, ERR_UNAVAILABLE, "stands before" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cloud_play(&cases[i].answer, 1);
        FAILS(*state, cases[i].kind, cases[i].text, "cloud.test:8443", "listZones",
              "look at the zones");
    }
}

/* Between "now" and the answer a second or two may pass. */
static void
skew_is_told_where_it_may_be_the_cause(void **state)
{
    char header[64];
    time_t then = (time_t)clock_wall_s() - 3600;
    struct tm tm;
    gmtime_r(&then, &tm);
    strftime(header, sizeof header, "Date: %a, %d %b %Y %H:%M:%S GMT", &tm);
    const struct cloud_answer answers[] = {
        { .status = 401, .header = header, .body = FAULT("listzones", "401", "bad") },
        { .status = 431, .header = header, .body = FAULT("listzones", "431", "bad") },
    };
    PLAY(answers);
    FAILS(*state, ERR_DENIED, "s behind the one here");
    assert_true(cloudstack_skew_s(*state) < -3590 && cloudstack_skew_s(*state) > -3610);
    struct err err = ERR_INIT;
    json_t *content = NULL;
    assert_int_equal(cloudstack_ask(*state, &zones, &content, &err), -1);
    assert_null(strstr(err.text, "clock"));
}

static void
raw_control_characters_are_no_obstacle(void **state)
{
    static const struct cloud_answer answers[] = {
        { .status = 200,
          .body = LIST("listzones", "1", "zone", "{\"id\":\"a\",\"name\":\"x\001\ny\"}") },
    };
    PLAY(answers);
    auto_json json_t *content = ask(*state, &zones);
    const json_t *zone = json_array_get(json_object_get(content, "zone"), 0);
    assert_string_equal(json_get_str(zone, "name", ""), "x  y");
}

/* ---- again ---- */

static void
what_may_pass_is_tried_again(void **state)
{
    static const struct cloud_answer answers[] = {
        { .status = 429, .body = FAULT("listzones", "429", "please retry after 734 ms") },
        { .status = 503, .body = FAULT("listzones", "503", "Maintenance") },
        { .status = 0 },
        { .status = 200, .body = "{\"listzonesresponse\":{}}" },
    };
    PLAY(answers);
    int64_t begin_ns = clock_now_ns();
    auto_json json_t *content = ask(*state, &zones);
    assert_true(clock_now_ns() - begin_ns >= (734 + 2000 + 2000) * NS_PER_MS);
}

static void
what_does_not_pass_is_told_in_the_end(void **state)
{
    static const struct cloud_answer refused[] = { { .status = 0 } };
    static const struct cloud_answer busy[] = {
        { .status = 503, .body = "" },
        { .status = 503, .body = "" },
        { .status = 503, .body = "" },
        { .status = 503, .body = "" },
    };
    PLAY(refused); /* it never answered */
    FAILS(*state, ERR_UNAVAILABLE, "connection broke");
    PLAY(busy);
    FAILS(*state, ERR_UNAVAILABLE, "maintenance");
}

/* ---- pages ---- */

static int
count_row(const json_t *row, void *arg, struct err *err)
{
    (void)row, (void)err;
    ++*(int *)arg;
    return 0;
}

static void
pages_are_of_the_servers_size(void **state)
{
    static const struct cloud_answer answers[] = {
        { .forbid = "page",
          .status = 200,
          .body = LIST("listzones", "5", "zone", ZONE("a", "a") "," ZONE("b", "b")) },
        { .expect = { "&page=2&pagesize=2&" },
          .status = 200,
          .body = LIST("listzones", "5", "zone", ZONE("c", "c") "," ZONE("d", "d")) },
        { .expect = { "&page=3&pagesize=2&" },
          .status = 200,
          .body = LIST("listzones", "5", "zone", ZONE("e", "e")) },
        { .status = 200, .body = "{\"listzonesresponse\":{}}" },
        { .status = 200, .body = LIST("listzones", "9", "zone", ZONE("a", "a")) },
        { .status = 200, .body = "{\"listzonesresponse\":{\"count\":9}}" },
    };
    int n = 0;
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_list(*state, &zones, "zone", count_row, &n, &err), 0);
    assert_int_equal(n, 5);
    assert_int_equal(cloudstack_list(*state, &zones, "zone", count_row, &n, &err), 0);
    assert_int_equal(n, 5);
    assert_int_equal(cloudstack_list(*state, &zones, "zone", count_row, &n, &err), 0);
    assert_int_equal(n, 6);
}

static void
a_row_that_is_none_is_an_error(void **state)
{
    static const struct cloud_answer answers[] = {
        { .status = 200, .body = LIST("listzones", "1", "zone", "7") },
    };
    int n = 0;
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_list(*state, &zones, "zone", count_row, &n, &err), -1);
    assert_non_null(strstr(err.text, "no object"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_is_posted_signed_and_expires, setup, teardown),
        cmocka_unit_test(endpoints_that_are_none_are_refused),
        cmocka_unit_test_setup_teardown(each_code_has_its_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(skew_is_told_where_it_may_be_the_cause, setup, teardown),
        cmocka_unit_test_setup_teardown(raw_control_characters_are_no_obstacle, setup, teardown),
        cmocka_unit_test_setup_teardown(what_may_pass_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_pass_is_told_in_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_are_of_the_servers_size, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_that_is_none_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
