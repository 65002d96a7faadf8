#include "engine/reach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"

static void
drop_list(struct addrinfo **list)
{
    if (*list)
        freeaddrinfo(*list);
}

static void
keep(const struct addrinfo *info, struct reach_addresses *ret)
{
    struct reach_address *address = &ret->list[ret->n];
    const void *bytes = NULL;
    if (info->ai_family == AF_INET)
        bytes = &((const struct sockaddr_in *)info->ai_addr)->sin_addr;
    else if (info->ai_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)info->ai_addr)->sin6_addr;
    if (!bytes || ret->n == REACH_MAX_ADDRESSES || info->ai_addrlen > sizeof address->addr ||
        !inet_ntop(info->ai_family, bytes, address->text, sizeof address->text))
        return;
    memcpy(&address->addr, info->ai_addr, info->ai_addrlen);
    address->len = info->ai_addrlen;
    ret->n++;
}

int
reach_resolve(const char *host, struct reach_addresses *ret, struct err *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    AUTO(drop_list) struct addrinfo *list = NULL;
    *ret = (struct reach_addresses){ 0 };
    int r = getaddrinfo(host, NULL, &hints, &list);
    if (r == EAI_AGAIN || r == EAI_MEMORY || r == EAI_SYSTEM)
        return err_set(err, ERR_UNAVAILABLE, "%s: the name servers gave no answer (%s)", host,
                       r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
    if (r != 0)
        return err_set(err, ERR_NOT_FOUND, "%s: this host cannot resolve the name (%s)", host,
                       gai_strerror(r));
    for (const struct addrinfo *info = list; info; info = info->ai_next)
        keep(info, ret);
    if (ret->n == 0)
        return err_set(err, ERR_NOT_FOUND, "%s: the name has no address that can be used", host);
    return 0;
}

/* 0, or the errno of the attempt; ETIMEDOUT when nothing came. */
static int
try_connect(const struct reach_address *address, unsigned port, int64_t deadline_ns)
{
    struct sockaddr_storage addr = address->addr;
    if (addr.ss_family == AF_INET)
        ((struct sockaddr_in *)&addr)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)&addr)->sin6_port = htons((uint16_t)port);
    auto_close int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&addr, address->len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    struct pollfd pfd = { .fd = fd, .events = POLLOUT };
    int n;
    do
        n = poll(&pfd, 1, clock_poll_ms(deadline_ns));
    while (n < 0 && errno == EINTR);
    int status = 0;
    socklen_t len = sizeof status;
    if (n == 0)
        return ETIMEDOUT;
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &len) < 0)
        return errno;
    return status;
}

int
reach_port(const char *host, const struct reach_addresses *addresses, unsigned port,
           int64_t limit_ns, struct err *err)
{
    int64_t deadline_ns = clock_now_ns() + limit_ns;
    int last = ETIMEDOUT;
    const char *at = "";
    for (size_t i = 0; i < addresses->n; i++) {
        last = try_connect(&addresses->list[i], port, deadline_ns);
        at = addresses->list[i].text;
        if (last == 0)
            return 0;
    }
    const char *meaning = last == ECONNREFUSED ? "the connection is refused: nobody listens there"
                          : last == ETIMEDOUT  ? "no answer: a firewall between drops it, or the "
                                                 "host is down"
                                               : strerror(last);
    return err_set(err, ERR_UNAVAILABLE, "%s:%u (%s): %s", host, port, at, meaning);
}
