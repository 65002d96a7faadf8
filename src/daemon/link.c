#include "daemon/link.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"

/* Messages of one side before the others have their turn. */
#define TURN_MAX 32

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *arg);
static bool hear(struct link *link);
static int send_kept(struct link *link, struct err *err);
static bool has_room(int fd);

int
link_open(struct link *link, sd_event *event, int fd, link_fn *heard, void *arg, struct err *err)
{
    *link = (struct link){ .fd = fd, .heard = heard, .arg = arg, .kept = json_array() };
    int r = link->kept ? sd_event_add_io(event, &link->source, fd, EPOLLIN, on_io, link) : -ENOMEM;
    if (r < 0) {
        link_close(link);
        return err_errno(err, -r, "watch a socket");
    }
    return 0;
}

void
link_close(struct link *link)
{
    link->source = sd_event_source_disable_unref(link->source);
    json_decref(TAKE_PTR(link->kept));
    if (link->fd >= 0)
        close(TAKE_FD(link->fd));
}

void
link_hang_up(struct link *link)
{
    if (link->fd >= 0)
        shutdown(link->fd, SHUT_WR);
}

static int
on_io(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
    struct link *link = arg;
    struct err err = ERR_INIT;
    (void)source;
    (void)fd;
    if ((revents & EPOLLOUT) && send_kept(link, &err) < 0) {
        link->source = sd_event_source_disable_unref(link->source);
        link->heard(NULL, &err, link->arg);
        return 0;
    }
    if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
        for (int i = 0; i < TURN_MAX && hear(link); i++)
            ;
    return 0;
}

void
link_drain(struct link *link)
{
    while (hear(link))
        ;
}

/* One message; false: there is none. What is heard may make the listener close the link. */
static bool
hear(struct link *link)
{
    auto_json json_t *msg = NULL;
    struct err err = ERR_INIT;
    int r = link->source ? ipc_recv(link->fd, clock_now_ns(), &msg, &err) : 0;
    if (r == 0)
        return false;
    if (r < 0)
        link->source = sd_event_source_disable_unref(link->source);
    link->heard(msg, r < 0 ? &err : NULL, link->arg);
    return true;
}

int
link_send(struct link *link, json_t *msg, struct err *err)
{
    auto_json json_t *owned = msg;
    if (!owned)
        return err_set(err, ERR_BUG, "a message could not be built");
    if (link->fd < 0 || !link->source)
        return err_set(err, ERR_UNAVAILABLE, "the other process has gone");
    if (json_array_size(link->kept) == 0 && has_room(link->fd))
        return ipc_send(link->fd, TAKE_PTR(owned), err);
    if (json_array_size(link->kept) >= LINK_KEPT_MAX)
        return err_set(err, ERR_UNAVAILABLE, "the other process does not read what it is told");
    json_array_append(link->kept, owned);
    sd_event_source_set_io_events(link->source, EPOLLIN | EPOLLOUT);
    return 0;
}

static int
send_kept(struct link *link, struct err *err)
{
    while (json_array_size(link->kept) > 0 && has_room(link->fd)) {
        json_t *msg = json_incref(json_array_get(link->kept, 0));
        json_array_remove(link->kept, 0);
        if (ipc_send(link->fd, msg, err) < 0)
            return -1;
    }
    if (json_array_size(link->kept) == 0)
        sd_event_source_set_io_events(link->source, EPOLLIN);
    return 0;
}

/* A socket of this kind is writable while three quarters of its buffer are free, which is more than
 * one packet of ours: ipc_send does not wait then. */
static bool
has_room(int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLOUT };
    return poll(&pfd, 1, 0) > 0;
}
