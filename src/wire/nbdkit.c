#include "wire/nbdkit.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

#define START_LIMIT_NS (60 * NS_PER_S)
#define POLL_NS (10 * NS_PER_MS)
#define STOP_GRACE_MS 5000
#define STDERR_MAX 65536  /* bytes of its complaints that we read, from the end */
#define PASSWORD_MAX 4096 /* well below what a pipe takes without a reader */
#define PARAMETER_MAX 8192
#define PARAMETERS_MAX 10

/* What it is started with: "host=...", owned. */
struct parameters {
    size_t n;
    char *list[PARAMETERS_MAX];
};

static int add_parameters(struct parameters *p, const struct ssh_host *host, const char *path,
                          struct err *err);
static int password_pipe(const char *password, struct err *err);
static int start(struct nbdkit *kit, const struct parameters *p, int password_fd, struct err *err);
static int peek_at(struct nbdkit *kit, void *peek, size_t peek_len, struct err *err);
static int fail_with_its_words(const struct nbdkit *kit, const char *what, struct err *err);

static void
parameters_done(struct parameters *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->list[i]);
}

int
nbdkit_ssh_start(struct nbdkit *kit, const struct ssh_host *host, const char *path, void *peek,
                 size_t peek_len, struct err *err)
{
    auto_nbdkit struct nbdkit made = NBDKIT_INIT;
    AUTO(parameters_done) struct parameters parameters = { .n = 0 };
    auto_close int password_fd = -1;
    if (peek_len > NBDKIT_PEEK_MAX)
        return err_set(err, ERR_BUG, "%s: a look at %zu bytes is too long", path, peek_len);
    if (add_parameters(&parameters, host, path, err) < 0)
        return -1;
    if (host->password && (password_fd = password_pipe(host->password, err)) < 0)
        return -1;
    if (dir_make_private(NULL, &made.dir, err) < 0)
        return -1;
    if (asprintf(&made.socket, "%s/nbd", made.dir) < 0) {
        made.socket = NULL;
        return err_errno(err, ENOMEM, "start nbdkit");
    }
    if (start(&made, &parameters, password_fd, err) < 0)
        return -1;
    if (peek_at(&made, peek, peek_len, err) < 0)
        return err_prefix(err, "%s:%s", host->host, path);
    *kit = made;
    made = NBDKIT_INIT;
    return 0;
}

void
nbdkit_stop(struct nbdkit *kit)
{
    struct err ignored = ERR_INIT;
    proc_stop(&kit->proc, STOP_GRACE_MS);
    if (kit->dir)
        dir_remove(kit->dir, &ignored);
    if (kit->stderr_fd >= 0)
        close(kit->stderr_fd);
    free(kit->dir);
    free(kit->socket);
    *kit = NBDKIT_INIT;
}

/* ---- starting ---- */

static int
add(struct parameters *p, struct err *err, const char *name, const char *value)
{
    if (strlen(value) > PARAMETER_MAX)
        return err_set(err, ERR_INVALID, "%s of a host: longer than %d bytes", name, PARAMETER_MAX);
    if (asprintf(&p->list[p->n], "%s=%s", name, value) < 0)
        return err_errno(err, ENOMEM, "start nbdkit");
    p->n++;
    return 0;
}

/* Of files it expands %d, %u and others, and wants to be told them whole. */
static int
add_file(struct parameters *p, struct err *err, const char *name, const char *file)
{
    auto_buf struct buf escaped = BUF_INIT(PARAMETER_MAX);
    auto_free char *absolute = realpath(file, NULL);
    if (!absolute)
        return err_errno(err, errno, "%s", file);
    for (const char *at = absolute; *at; at++)
        if (buf_add(&escaped, *at == '%' ? "%%" : at, *at == '%' ? 2 : 1, err) < 0)
            return -1;
    return add(p, err, name, escaped.data);
}

static int
add_parameters(struct parameters *p, const struct ssh_host *host, const char *path, struct err *err)
{
    char port[16];
    snprintf(port, sizeof port, "%u", host->port);
    if (add(p, err, "host", host->host) < 0 || add(p, err, "path", path) < 0 ||
        (host->port && add(p, err, "port", port) < 0) ||
        (host->user && add(p, err, "user", host->user) < 0) ||
        (host->identity && add_file(p, err, "identity", host->identity) < 0) ||
        (host->known_hosts && add_file(p, err, "known-hosts", host->known_hosts) < 0) ||
        (host->password && add(p, err, "password", "-3") < 0))
        return -1;
    return 0;
}

/* Its reading end; the password is in it, and nothing can write more. */
static int
password_pipe(const char *password, struct err *err)
{
    int fds[2];
    size_t len = strlen(password);
    if (len > PASSWORD_MAX)
        return err_set(err, ERR_INVALID, "the password for SSH is longer than %d bytes",
                       PASSWORD_MAX);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "hand the password to nbdkit");
    auto_close int from = fds[0];
    auto_close int into = fds[1];
    return fd_write(into, password, len, "the password for nbdkit", err) < 0 ? -1 : TAKE_FD(from);
}

static int
start(struct nbdkit *kit, const struct parameters *p, int password_fd, struct err *err)
{
    const char *argv[16 + PARAMETERS_MAX] = {
        "nbdkit", "--foreground", "--exit-with-parent", "--readonly", "--unix", kit->socket, "ssh",
    };
    size_t n = 7;
    for (size_t i = 0; i < p->n; i++)
        argv[n++] = p->list[i];
    kit->stderr_fd = memfd_create("nbdkit stderr", MFD_CLOEXEC);
    if (kit->stderr_fd < 0)
        return err_errno(err, errno, "start nbdkit");
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    spec.stderr_fd = kit->stderr_fd;
    spec.fd3 = password_fd;
    spec.guarded = true; /* a ProxyCommand of ssh's configuration is a program, too */
    return proc_start(&kit->proc, &spec, err);
}

/* ---- what it says ---- */

void
nbdkit_last_words(const struct nbdkit *kit, char text[NBDKIT_WORDS_MAX])
{
    static const char mark[] = "error: ";
    struct err ignored = ERR_INIT;
    text[0] = '\0';
    auto_free char *said = malloc(STDERR_MAX + 1);
    off_t end = kit->stderr_fd >= 0 ? lseek(kit->stderr_fd, 0, SEEK_END) : 0;
    if (!said || end <= 0)
        return;
    uint64_t from = (uint64_t)end - MIN((uint64_t)end, (uint64_t)STDERR_MAX);
    ssize_t len = fd_pread(kit->stderr_fd, said, STDERR_MAX, from, "stderr", &ignored);
    said[len > 0 ? len : 0] = '\0';
    char *last = NULL;
    for (char *at = said; (at = strstr(at, mark)); at += strlen(mark))
        last = at + strlen(mark);
    if (last)
        snprintf(text, NBDKIT_WORDS_MAX, "%.*s", (int)strcspn(last, "\n"), last);
}

/* Of libssh, what is about who we are and who the other is. */
static enum err_kind
kind_of(const char *words)
{
    static const char *const denials[] = { "authentication", "known_hosts", "known hosts",
                                           "host key",       "password",    "Permission denied" };
    for (size_t i = 0; i < ARRAY_LEN(denials); i++)
        if (strstr(words, denials[i]))
            return ERR_DENIED;
    return strstr(words, "No such file") ? ERR_NOT_FOUND : ERR_UNAVAILABLE;
}

static int
fail_with_its_words(const struct nbdkit *kit, const char *what, struct err *err)
{
    char words[NBDKIT_WORDS_MAX];
    nbdkit_last_words(kit, words);
    if (!*words)
        return err_set(err, ERR_UNAVAILABLE, "nbdkit could not open it by SSH: %s", what);
    return err_set(err, kind_of(words), "nbdkit could not open it by SSH: %s", words);
}

/* ---- a first look, as a client of NBD ---- */

#define NBD_FLAGS 3u /* fixed newstyle, no zeroes */
#define NBD_OPTION_GO 7u
#define NBD_REPLY_ACK 1u
#define NBD_REPLY_INFO 3u
#define NBD_REPLY_ERROR (1u << 31)
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_MAGIC 0x67446698u
#define NBD_COMMAND_DISCONNECT 2u
#define NBD_REPLY_MAX 65536u

/* Exactly len bytes in or out, waiting until the deadline or the end of the process. */
static bool
transfer(const struct nbdkit *kit, int fd, void *data, size_t len, bool out, int64_t deadline_ns)
{
    char *at = data;
    while (len > 0) {
        struct pollfd pfds[] = { { .fd = fd, .events = out ? POLLOUT : POLLIN },
                                 { .fd = kit->proc.pidfd, .events = POLLIN } };
        int n = poll(pfds, 2, clock_poll_ms(deadline_ns));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || (pfds[1].revents && !pfds[0].revents))
            return false;
        ssize_t done =
            out ? send(fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(fd, at, len, MSG_DONTWAIT);
        if (done < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (done <= 0)
            return false;
        at += done;
        len -= (size_t)done;
    }
    return true;
}

static uint32_t
u32_at(const uint8_t *data)
{
    uint32_t n;
    memcpy(&n, data, sizeof n);
    return be32toh(n);
}

static void
put_u32(uint8_t *data, uint32_t n)
{
    n = htobe32(n);
    memcpy(data, &n, sizeof n);
}

/* Greeting and NBD_OPT_GO for the export "". 1: open, and its size is known; 0: refused; -1: no
 * answer. */
static int
shake_hands(struct nbdkit *kit, int fd, int64_t deadline_ns)
{
    uint8_t greeting[18], reply[20], info[NBD_REPLY_MAX];
    uint8_t hello[4 + 16 + 6] = "\0\0\0\0IHAVEOPT";
    put_u32(hello, NBD_FLAGS);
    put_u32(hello + 12, NBD_OPTION_GO);
    put_u32(hello + 16, 6);
    if (!transfer(kit, fd, greeting, sizeof greeting, false, deadline_ns) ||
        memcmp(greeting, "NBDMAGICIHAVEOPT", 16) != 0 ||
        !transfer(kit, fd, hello, sizeof hello, true, deadline_ns))
        return -1;
    for (;;) {
        if (!transfer(kit, fd, reply, sizeof reply, false, deadline_ns))
            return -1;
        uint32_t type = u32_at(reply + 12), len = u32_at(reply + 16);
        if (len > sizeof info || !transfer(kit, fd, info, len, false, deadline_ns))
            return -1;
        if (type & NBD_REPLY_ERROR)
            return 0;
        if (type == NBD_REPLY_ACK)
            return 1;
        if (type == NBD_REPLY_INFO && len >= 12 && info[0] == 0 && info[1] == 0)
            kit->bytes = ((uint64_t)u32_at(info + 2) << 32) | u32_at(info + 6);
    }
}

static bool
read_head(const struct nbdkit *kit, int fd, void *data, size_t len, int64_t deadline_ns)
{
    uint8_t request[28] = { 0 }, reply[16];
    put_u32(request, NBD_REQUEST_MAGIC);
    put_u32(request + 24, (uint32_t)len);
    if (len > 0 && (!transfer(kit, fd, request, sizeof request, true, deadline_ns) ||
                    !transfer(kit, fd, reply, sizeof reply, false, deadline_ns) ||
                    u32_at(reply) != NBD_SIMPLE_MAGIC || u32_at(reply + 4) != 0 ||
                    !transfer(kit, fd, data, len, false, deadline_ns)))
        return false;
    request[7] = NBD_COMMAND_DISCONNECT;
    put_u32(request + 24, 0);
    return transfer(kit, fd, request, sizeof request, true, deadline_ns);
}

/* It makes its socket only after it has read its parameters. */
static int
connect_when_there(struct nbdkit *kit, int64_t deadline_ns, int *ret_fd, struct err *err)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    if (strlen(kit->socket) >= sizeof addr.sun_path)
        return err_set(err, ERR_INVALID, "%s: too long for a socket: set TMPDIR to a shorter one",
                       kit->socket);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", kit->socket);
    for (;;) {
        auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return err_errno(err, errno, "a socket");
        if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0) {
            *ret_fd = TAKE_FD(fd);
            return 0;
        }
        if (proc_wait(&kit->proc, clock_now_ns() + POLL_NS)) {
            char status[PROC_STATUS_MAX];
            return fail_with_its_words(kit, proc_status_text(kit->proc.status, status), err);
        }
        if (clock_now_ns() >= deadline_ns)
            return fail_with_its_words(kit, "it did not begin to listen", err);
    }
}

static int
peek_at(struct nbdkit *kit, void *peek, size_t peek_len, struct err *err)
{
    int64_t deadline_ns = clock_now_ns() + START_LIMIT_NS;
    auto_close int fd = -1;
    if (connect_when_there(kit, deadline_ns, &fd, err) < 0)
        return -1;
    if (shake_hands(kit, fd, deadline_ns) <= 0)
        return fail_with_its_words(kit, "no answer", err);
    if (peek_len > 0)
        memset(peek, 0, peek_len);
    if (!read_head(kit, fd, peek, (size_t)MIN((uint64_t)peek_len, kit->bytes), deadline_ns))
        return fail_with_its_words(kit, "its first bytes could not be read", err);
    return 0;
}
