#include "wire/qemu-nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "wire/json.h"

#define START_LIMIT_NS (30 * NS_PER_S)
#define POLL_NS (5 * NS_PER_MS)
#define STOP_GRACE_MS 5000
#define SECTOR_BYTES 512
#define PRIVATE_SERVER "nbd+unix:///?socket=" /* as our own servers are named */
#define STDERR_MAX 8192                       /* bytes of its complaints that we read */

static char *image_filename(const struct qemu_nbd_image *image, struct err *err);
static int check_self_contained(const struct qemu_nbd_image *image, struct err *err);
static int wait_until_answering(struct qemu_nbd *nbd, const char *path, int stderr_fd,
                                struct err *err);

int
qemu_nbd_start(struct qemu_nbd *nbd, const struct qemu_nbd_image *image, struct err *err)
{
    auto_qemu_nbd struct qemu_nbd made = QEMU_NBD_INIT;
    auto_free char *filename = image_filename(image, err);
    if (!filename || (image->window_bytes && check_self_contained(image, err) < 0))
        return -1;
    auto_close int stderr_fd = memfd_create("qemu-nbd stderr", MFD_CLOEXEC);
    if (stderr_fd < 0)
        return err_errno(err, errno, "start qemu-nbd");
    if (dir_make_private(NULL, &made.dir, err) < 0)
        return -1;
    auto_free char *format = NULL;
    if (asprintf(&made.socket, "%s/nbd", made.dir) < 0) {
        made.socket = NULL;
        return err_errno(err, ENOMEM, "start qemu-nbd");
    }
    if (asprintf(&format, "--format=%s", image->format) < 0) {
        format = NULL;
        return err_errno(err, ENOMEM, "start qemu-nbd");
    }

    const char *argv[] = { "qemu-nbd",    "--persistent",
                           "--shared=16", "--socket",
                           made.socket,   image->writable ? "--discard=unmap" : "--read-only",
                           format,        filename,
                           NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    spec.stderr_fd = stderr_fd;
    if (proc_start(&made.proc, &spec, err) < 0 ||
        wait_until_answering(&made, image->path, stderr_fd, err) < 0)
        return -1;
    *nbd = made;
    made = QEMU_NBD_INIT;
    return 0;
}

void
qemu_nbd_stop(struct qemu_nbd *nbd)
{
    struct err ignored = ERR_INIT;
    proc_stop(&nbd->proc, STOP_GRACE_MS);
    if (nbd->dir)
        dir_remove(nbd->dir, &ignored);
    free(nbd->dir);
    free(nbd->socket);
    *nbd = QEMU_NBD_INIT;
}

/* ---- what qemu-nbd is told to open ---- */

static bool
is_nbd_uri(const char *path)
{
    return strncmp(path, "nbd:", 4) == 0 || strncmp(path, "nbd+unix:", 9) == 0 ||
           strncmp(path, "nbds:", 5) == 0;
}

/* A server of ours, which serves what is on another host, is all that such an image consists of: a
 * backing file in its header would be one of this host. */
static char *
private_server_filename(const struct qemu_nbd_image *image, const char *socket, struct err *err)
{
    auto_json json_t *top =
        json_pack("{s:s, s:n, s:{s:s, s:{s:s, s:s}}}", "driver", image->format, "backing", "file",
                  "driver", "nbd", "server", "type", "unix", "path", socket);
    auto_free char *text = top ? json_dumps(top, JSON_COMPACT) : NULL;
    char *filename = NULL;
    if (!text || asprintf(&filename, "json:%s", text) < 0) {
        err_set(err, ERR_INVALID, "%s: cannot be given to qemu-nbd", image->path);
        return NULL;
    }
    return filename;
}

/* A json: name, in which a path is a plain string: QEMU finds neither a protocol ("web:1.vmdk") nor
 * an option list ("a,b.img") nor an argument ("-x.img") in it. */
static char *
image_filename(const struct qemu_nbd_image *image, struct err *err)
{
    if (strncmp(image->path, PRIVATE_SERVER, strlen(PRIVATE_SERVER)) == 0 &&
        strcmp(image->format, "raw") != 0)
        return private_server_filename(image, image->path + strlen(PRIVATE_SERVER), err);
    if (is_nbd_uri(image->path)) {
        char *copy = strdup(image->path);
        if (!copy)
            err_errno(err, ENOMEM, "%s", image->path);
        return copy;
    }
    struct stat st;
    if (stat(image->path, &st) < 0) {
        err_errno(err, errno, "%s", image->path);
        return NULL;
    }
    const char *driver = S_ISBLK(st.st_mode) ? "host_device" : "file";
    json_t *file = json_pack("{s:s, s:s}", "driver", driver, "filename", image->path);
    /* QEMU wants whole sectors, and a tar pads its members to whole sectors. */
    if (image->window_bytes)
        file = json_pack("{s:s, s:I, s:I, s:o}", "driver", "raw", "offset",
                         (json_int_t)image->window_offset, "size",
                         (json_int_t)round_up(image->window_bytes, SECTOR_BYTES), "file", file);
    json_t *top = json_pack("{s:s, s:o}", "driver", image->format, "file", file);
    /* What came inside another file has no business with files beside it. */
    if (image->window_bytes && strcmp(image->format, "raw") != 0)
        json_object_set_new(top, "backing", json_null());
    auto_json json_t *owned = top;
    auto_free char *text = top ? json_dumps(top, JSON_COMPACT) : NULL;
    char *filename = NULL;
    if (!text || asprintf(&filename, "json:%s", text) < 0) {
        err_set(err, ERR_INVALID, "%s: the name is not UTF-8 and cannot be given to qemu-nbd",
                image->path);
        return NULL;
    }
    return filename;
}

/* A disk within another file (a member of an OVA) must hold its own data. Its header is a
 * stranger's and could name any file of this host as an extent or as the place of the data; qemu
 * would open it.
 *
 * VMDK: a text descriptor, or a sparse header with capacity 0 in front of one, names extents
 * (VMware, "Virtual Disk Format 5.0"). qcow2: incompatible feature bit 2 is an external data file
 * (docs/interop/qcow2.txt of QEMU). */
static int
check_self_contained(const struct qemu_nbd_image *image, struct err *err)
{
    static const uint8_t zero[8];
    uint8_t head[80] = { 0 };
    auto_close int fd = open(image->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s", image->path);
    size_t len = (size_t)MIN((uint64_t)sizeof head, image->window_bytes);
    if (fd_pread_exact(fd, head, len, image->window_offset, image->path, err) < 0)
        return -1;
    bool vmdk = strcmp(image->format, "vmdk") == 0;
    if (vmdk && (memcmp(head, "KDMV", 4) != 0 || memcmp(head + 12, zero, 8) == 0))
        return err_set(err, ERR_INVALID,
                       "%s: the disk at byte %" PRIu64 " is a description that points at other "
                       "files, not a disk: unpack it",
                       image->path, image->window_offset);
    bool qcow2 = strcmp(image->format, "qcow2") == 0;
    if (qcow2 && memcmp(head, "QFI\xfb", 4) == 0 && head[7] >= 3 && (head[79] & 4))
        return err_set(err, ERR_INVALID,
                       "%s: the disk at byte %" PRIu64 " keeps its data in another file",
                       image->path, image->window_offset);
    return 0;
}

/* ---- waiting ---- */

/* It listens before it opens the image, so a connection alone says nothing; its greeting does.
 * Waits for that until the deadline or the end of the process. */
static bool
answers(const struct qemu_nbd *nbd, int64_t deadline_ns)
{
    static const char greeting[] = "NBDMAGIC";
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    char said[8];
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", nbd->socket);
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        return false;
    struct pollfd pfds[] = { { .fd = fd, .events = POLLIN },
                             { .fd = nbd->proc.pidfd, .events = POLLIN } };
    int n;
    do
        n = poll(pfds, 2, clock_poll_ms(deadline_ns));
    while (n < 0 && errno == EINTR && clock_poll_ms(deadline_ns) > 0);
    return (pfds[0].revents & POLLIN) && recv(fd, said, sizeof said, 0) == sizeof said &&
           memcmp(said, greeting, sizeof said) == 0;
}

/* "qemu-nbd: Failed to blk_new_open 'json:{...}': Could not open ..." to what comes after the name,
 * which we give in plain form ourselves. */
static int
fail_with_its_words(const char *path, int stderr_fd, const char *status, struct err *err)
{
    char text[STDERR_MAX + 1];
    struct err ignored = ERR_INIT;
    ssize_t n = fd_pread(stderr_fd, text, STDERR_MAX, 0, "stderr", &ignored);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    const char *say = text;
    const char *after = strstr(say, "}': ");
    if (after)
        say = after + strlen("}': ");
    else if (strncmp(say, "qemu-nbd: ", 10) == 0)
        say += 10;
    enum err_kind kind = strstr(say, "lock") ? ERR_CONFLICT : ERR_INVALID;
    return err_set(err, kind, "%s: qemu-nbd cannot open it: %s", path, *say ? say : status);
}

static int
wait_until_answering(struct qemu_nbd *nbd, const char *path, int stderr_fd, struct err *err)
{
    struct sockaddr_un *unused = NULL;
    if (strlen(nbd->socket) >= sizeof unused->sun_path)
        return err_set(err, ERR_INVALID, "%s: too long for a socket: set TMPDIR to a shorter one",
                       nbd->socket);
    int64_t deadline_ns = clock_now_ns() + START_LIMIT_NS;
    while (!answers(nbd, deadline_ns)) {
        if (proc_wait(&nbd->proc, clock_now_ns() + POLL_NS)) {
            char status[PROC_STATUS_MAX];
            return fail_with_its_words(path, stderr_fd, proc_status_text(nbd->proc.status, status),
                                       err);
        }
        if (clock_now_ns() >= deadline_ns)
            return err_set(err, ERR_UNAVAILABLE, "%s: qemu-nbd did not open it within %d s", path,
                           (int)(START_LIMIT_NS / NS_PER_S));
    }
    return 0;
}
