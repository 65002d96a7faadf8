#include "wire/local-http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/fd.h"

/* One that answers each request of each connection as its path says, in a thread. */
struct server {
    char *dir;
    char path[108];
    int listener;
    pthread_t thread;
    unsigned connections;
    char request[65536]; /* the last one, whole */
};

static struct server server;

static void
put(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static void
put_long(int fd)
{
    char piece[65537];
    memset(piece, ' ', sizeof piece - 1);
    piece[sizeof piece - 1] = '\0';
    put(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for (size_t sent = 0; sent <= LOCAL_HTTP_RESPONSE_MAX; sent += sizeof piece - 1)
        put(fd, piece);
}

/* false: close the connection. */
static bool
answer(int fd)
{
    static const struct {
        const char *path, *text;
    } answers[] = {
        { "/good ", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"good\": 1}" },
        { "/refused ",
          "HTTP/1.1 409 Conflict\r\nContent-Length: 17\r\n\r\n{\"detail\": \"no\"}\n" },
        { "/empty ", "HTTP/1.1 204 No Content\r\n\r\n" },
        { "/text ", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" },
        { "/array ", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]" },
        { "/moved ", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                     "Content-Length: 2\r\n\r\n{}" },
        { "/broken ", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\": " },
        { "/alien ", "SSH-2.0-OpenSSH_9.2\r\n" },
    };
    size_t len = 0, whole = 0;
    while (whole == 0 || len < whole) {
        ssize_t n = recv(fd, server.request + len, sizeof server.request - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        server.request[len] = '\0';
        const char *body = strstr(server.request, "\r\n\r\n");
        const char *length = strstr(server.request, "Content-Length: ");
        if (body)
            whole = (size_t)(body + 4 - server.request) +
                    (length && length < body ? strtoull(length + 16, NULL, 10) : 0);
    }
    const char *path = strchr(server.request, ' ') + 1;
    if (strncmp(path, "/silent ", 8) == 0)
        return recv(fd, server.request, 1, 0) > 0;
    if (strncmp(path, "/long ", 6) == 0)
        put_long(fd);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (strncmp(path, answers[i].path, strlen(answers[i].path)) == 0) {
            put(fd, answers[i].text);
            return i < 6;
        }
    return false;
}

static void *
serve(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        server.connections++;
        while (answer(fd))
            ;
        close(fd);
    }
    return NULL;
}

static int
start(void **state)
{
    struct err err = ERR_INIT;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)state;
    if (dir_make_private("/tmp", &server.dir, &err) < 0)
        return -1;
    snprintf(server.path, sizeof server.path, "%s/sock", server.dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", server.path);
    server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server.listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(server.listener, 8) < 0)
        return -1;
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int
stop(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
    dir_remove(server.dir, &err);
    free(server.dir);
    return 0;
}

static struct local_http *
client(const char *path)
{
    struct err err = ERR_INIT;
    struct local_http *http = NULL;
    assert_int_equal(local_http_new(path, NULL, NULL, &http, &err), 0);
    return http;
}

static void
asks_and_keeps_the_connection(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_local_http struct local_http *http = client(server.path);
    unsigned before = server.connections;
    int status = 0;
    for (int i = 0; i < 3; i++) {
        auto_json json_t *body = NULL;
        assert_int_equal(local_http_call(http, "GET", "/good", NULL, &status, &body, &err), 0);
        assert_int_equal(status, 200);
        assert_int_equal(json_get_int(body, "good", 0), 1);
    }
    assert_int_equal(server.connections, before + 1);
    assert_non_null(strstr(server.request, "GET /good HTTP/1.1\r\n"));
}

static void
a_body_is_sent_as_it_is(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_local_http struct local_http *http = client(server.path);
    auto_json json_t *sent = json_pack("{s:s}", "choice", "force"), *body = NULL;
    int status = 0;
    assert_int_equal(local_http_call(http, "PUT", "/good", sent, &status, &body, &err), 0);
    assert_non_null(strstr(server.request, "PUT /good HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "Content-Type: application/json\r\n"));
    assert_null(strstr(server.request, "Expect"));
    assert_string_equal(strstr(server.request, "\r\n\r\n") + 4, "{\"choice\":\"force\"}");
}

static void
any_status_is_an_answer(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_local_http struct local_http *http = client(server.path);
    auto_json json_t *refused = NULL, *empty = NULL, *moved = NULL;
    int status = 0;
    assert_int_equal(local_http_call(http, "POST", "/refused", NULL, &status, &refused, &err), 0);
    assert_int_equal(status, 409);
    assert_string_equal(json_get_str(refused, "detail", ""), "no");
    assert_int_equal(local_http_call(http, "DELETE", "/empty", NULL, &status, &empty, &err), 0);
    assert_int_equal(status, 204);
    assert_int_equal(json_object_size(empty), 0);
    assert_int_equal(local_http_call(http, "GET", "/moved", NULL, &status, &moved, &err), 0);
    assert_int_equal(status, 302); /* not followed */
}

static void
what_is_no_answer_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum err_kind kind;
        const char *text;
    } cases[] = {
        { "/text", ERR_INVALID, "the answer of status 200: not JSON" },
        { "/array", ERR_INVALID, "not a JSON object" },
        { "/broken", ERR_UNAVAILABLE, "" },
        { "/alien", ERR_INVALID, "no HTTP" },
        { "/gone", ERR_UNAVAILABLE, "" },
        { "/long", ERR_INVALID, "longer than 16777216 bytes" },
    };
    auto_local_http struct local_http *http = client(server.path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_INIT;
        json_t *body = NULL;
        int status = 0;
        assert_int_equal(local_http_call(http, "GET", cases[i].path, NULL, &status, &body, &err),
                         -1);
        assert_int_equal(err.kind, cases[i].kind);
        assert_non_null(strstr(err.text, cases[i].text));
        assert_non_null(strstr(err.text, server.path));
    }
}

static bool
always(void *arg)
{
    (void)arg;
    return true;
}

static void
waiting_can_be_ended(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_local_http struct local_http *http = NULL;
    json_t *body = NULL;
    int status = 0;
    assert_int_equal(local_http_new(server.path, always, NULL, &http, &err), 0);
    assert_int_equal(local_http_call(http, "GET", "/silent", NULL, &status, &body, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
}

static void
only_a_socket_of_ours_is_spoken_to(void **state)
{
    (void)state;
    char path[108];
    json_t *body = NULL;
    int status = 0;
    struct err err = ERR_INIT;
    snprintf(path, sizeof path, "%s/none", server.dir);
    auto_local_http struct local_http *none = client(path);
    assert_int_equal(local_http_call(none, "GET", "/good", NULL, &status, &body, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(file_write_atomic(path, "", 0, 0600, &err), 0);
    assert_int_equal(local_http_call(none, "GET", "/good", NULL, &status, &body, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    if (geteuid() != 0)
        skip();
    assert_int_equal(lchown(server.path, 4711, 0), 0);
    auto_local_http struct local_http *theirs = client(server.path);
    assert_int_equal(local_http_call(theirs, "GET", "/good", NULL, &status, &body, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(lchown(server.path, 0, 0), 0);
}

static void
nobody_listens(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s/left", server.dir);
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    auto_local_http struct local_http *http = client(address.sun_path);
    json_t *body = NULL;
    int status = 0;
    assert_int_equal(local_http_call(http, "GET", "/good", NULL, &status, &body, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "nobody listens"));
}

static void
a_path_that_no_socket_can_have_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct local_http *http = NULL;
    char path[200];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(local_http_new(path, NULL, NULL, &http, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_and_keeps_the_connection),
        cmocka_unit_test(a_body_is_sent_as_it_is),
        cmocka_unit_test(any_status_is_an_answer),
        cmocka_unit_test(what_is_no_answer_is_an_error),
        cmocka_unit_test(waiting_can_be_ended),
        cmocka_unit_test(only_a_socket_of_ours_is_spoken_to),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(a_path_that_no_socket_can_have_is_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
