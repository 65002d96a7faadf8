#include "wire/ipc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

int
ipc_pair(int ret_fds[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
        return err_errno(err, errno, "make a socket pair");
    return 0;
}

int
ipc_send(int fd, json_t *msg, struct err *err)
{
    auto_json json_t *owned = msg;
    auto_free char *text = msg ? json_dumps(msg, JSON_COMPACT) : NULL;
    if (!text)
        return err_set(err, ERR_BUG, "a message could not be built");
    size_t len = strlen(text);
    if (len > IPC_PACKET_MAX)
        return err_set(err, ERR_BUG, "a '%s' message of %zu bytes is over the limit of %d",
                       ipc_type(msg), len, IPC_PACKET_MAX);
    ssize_t n;
    do
        n = send(fd, text, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    int saved = errno;
    explicit_bzero(text, len); /* it may hold a password */
    if (n < 0)
        return err_set(err, ERR_UNAVAILABLE, "the other process has gone: %s", strerror(saved));
    return 0;
}

int
ipc_recv(int fd, int64_t deadline_ns, json_t **ret_msg, struct err *err)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };
    int ready;
    do
        ready = poll(&pfd, 1, clock_poll_ms(deadline_ns));
    while (ready < 0 && errno == EINTR && clock_poll_ms(deadline_ns) != 0);
    if (ready <= 0)
        return 0;

    char packet[IPC_PACKET_MAX + 1];
    ssize_t n;
    /* Who ends without having read all that we said resets the connection. That is told first and
     * once; its own last words come after. */
    do
        n = recv(fd, packet, sizeof packet, 0);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        return err_errno(err, errno, "receive from the other process");
    if (n <= 0)
        return err_set(err, ERR_UNAVAILABLE, "the other process ended without a result");
    if (n > IPC_PACKET_MAX)
        return err_set(err, ERR_INVALID, "a packet of more than %d bytes", IPC_PACKET_MAX);
    json_t *msg = json_parse_object(packet, (size_t)n, err);
    explicit_bzero(packet, (size_t)n); /* it may hold a password */
    if (!msg)
        return -1;
    if (!json_is_string(json_object_get(msg, "type"))) {
        json_decref(msg);
        return err_set(err, ERR_INVALID, "a packet without a type");
    }
    *ret_msg = msg;
    return 1;
}

const char *
ipc_type(const json_t *msg)
{
    return json_get_str(msg, "type", "");
}

static int
recv_expected(int fd, const char *type, json_t **ret_msg, struct err *err)
{
    auto_json json_t *msg = NULL;
    int r = ipc_recv(fd, clock_now_ns() + IPC_HELLO_NS, &msg, err);
    if (r == 0)
        return err_set(err, ERR_UNAVAILABLE, "no '%s' came in time", type);
    if (r < 0)
        return -1;
    if (strcmp(ipc_type(msg), type) != 0)
        return err_set(err, ERR_INVALID, "'%s' came where '%s' was expected", ipc_type(msg), type);
    *ret_msg = TAKE_PTR(msg);
    return 0;
}

int
ipc_child_begin(int fd, const char *role, json_t **ret_start, struct err *err)
{
    json_t *hello =
        json_pack("{s:s, s:i, s:s}", "type", "hello", "version", IPC_VERSION, "role", role);
    if (ipc_send(fd, hello, err) < 0)
        return -1;
    return recv_expected(fd, "start", ret_start, err);
}

int
ipc_parent_begin(int fd, const char *role, json_t *start, struct err *err)
{
    auto_json json_t *owned = start;
    auto_json json_t *hello = NULL;
    if (recv_expected(fd, "hello", &hello, err) < 0)
        return err_prefix(err, "start of %s", role);
    return ipc_parent_greeted(fd, hello, role, TAKE_PTR(owned), err);
}

int
ipc_parent_greeted(int fd, const json_t *hello, const char *role, json_t *start, struct err *err)
{
    auto_json json_t *owned = start;
    if (strcmp(ipc_type(hello), "hello") != 0)
        return err_set(err, ERR_INVALID, "start of %s: '%s' came where 'hello' was expected", role,
                       ipc_type(hello));
    int64_t version = json_get_int(hello, "version", 0);
    if (version != IPC_VERSION)
        return err_set(err, ERR_INVALID,
                       "%s speaks version %lld of the protocol and this program %d: install both "
                       "from one release",
                       role, (long long)version, IPC_VERSION);
    if (strcmp(json_get_str(hello, "role", ""), role) != 0)
        return err_set(err, ERR_INVALID, "'%s' answered where '%s' was started",
                       json_get_str(hello, "role", ""), role);
    json_object_set_new(start, "type", json_string("start"));
    return ipc_send(fd, TAKE_PTR(owned), err);
}

int
ipc_send_result(int fd, const struct err *failure, json_t *detail, struct err *err)
{
    json_t *msg = detail ? detail : json_object();
    json_object_set_new(msg, "type", json_string("result"));
    json_object_set_new(msg, "ok", json_boolean(!failure));
    if (failure)
        json_object_set_new(msg, "error", json_from_err(failure));
    return ipc_send(fd, msg, err);
}
