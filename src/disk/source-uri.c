/* The kind "file": a path, an NBD server, standard input, or nothing at all. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "disk/byte-input.h"
#include "disk/source.h"
#include "disk/vmdk-stream.h"
#include "wire/image-format.h"
#include "wire/tar.h"

static int open_by_uri(const struct source_spec *spec, struct source **ret, struct err *err);
static int open_nbd(const struct source_spec *spec, struct source **ret, struct err *err);
static int open_stdin(const struct source_spec *spec, struct source **ret, struct err *err);
static int open_file(const struct source_spec *spec, struct source **ret, struct err *err);
static int open_image(const struct source_spec *spec, struct file_window window,
                      const char *identity, struct source **ret, struct err *err);
static int find_window(const struct source_spec *spec, int fd, struct file_window *ret,
                       struct err *err);

const struct source_kind source_kind_file = {
    .name = "file",
    .open = open_by_uri,
};

static int
open_by_uri(const struct source_spec *spec, struct source **ret, struct err *err)
{
    if (!spec->uri)
        return source_zero_open(spec->capacity_bytes, ret, err);
    if (strcmp(spec->uri, "-") == 0)
        return open_stdin(spec, ret, err);
    if (strncmp(spec->uri, "nbd", 3) == 0 && strstr(spec->uri, "://"))
        return open_nbd(spec, ret, err);
    return open_file(spec, ret, err);
}

/* A server of our parent's has another socket each time; it knows what is behind it. */
static int
open_nbd(const struct source_spec *spec, struct source **ret, struct err *err)
{
    const char *name = spec->remote.name ? spec->remote.name : spec->uri;
    if (source_nbd_open(spec, name, ret, err) < 0)
        return -1;
    if (spec->remote.identity)
        source_set_identity(*ret, "nbd", spec->remote.identity);
    return 0;
}

static int
open_stdin(const struct source_spec *spec, struct source **ret, struct err *err)
{
    if (spec->format && strcmp(spec->format, "vmdk") != 0)
        return err_set(err, ERR_INVALID,
                       "standard input: format '%s' cannot be read from a pipe, only a "
                       "streamOptimized VMDK can; give a file or an NBD URI",
                       spec->format);
    struct byte_input *in;
    if (byte_input_pipe(STDIN_FILENO, "standard input", spec->gzip, spec->stop, &in, err) < 0)
        return -1;
    return source_vmdk_open(in, "", ret, err);
}

static int
check_regular(const struct source_spec *spec, int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "%s: stat", spec->uri);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return err_set(err, ERR_INVALID, "%s: not a file or block device", spec->uri);
    return 0;
}

static void
witness_cleanup(struct source_witness **witness)
{
    source_witness_close(*witness);
}

static int
open_file(const struct source_spec *spec, struct source **ret, struct err *err)
{
    /* Not to wait for the other end of a FIFO. */
    auto_close int fd = open(spec->uri, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: open", spec->uri);
    struct file_window window;
    AUTO(witness_cleanup) struct source_witness *witness = NULL;
    if (check_regular(spec, fd, err) < 0 || find_window(spec, fd, &window, err) < 0 ||
        source_witness_open(fd, spec->uri, window.offset, window.bytes, &witness, err) < 0)
        return -1;
    window.fd = TAKE_FD(fd);
    if (open_image(spec, window, source_witness_text(witness), ret, err) < 0)
        return -1;
    (*ret)->witness = TAKE_PTR(witness);
    return 0;
}

/* By what it holds; window.fd is taken over. */
static int
open_image(const struct source_spec *spec, struct file_window window, const char *identity,
           struct source **ret, struct err *err)
{
    auto_close int fd = window.fd;
    const char *name = spec->member ? spec->member : spec->uri;

    uint8_t head[4096] = { 0 };
    struct byte_input *in = NULL;
    if (spec->gzip) {
        if (byte_input_file(TAKE_FD(fd), window.offset, window.bytes, name, true, &in, err) < 0)
            return -1;
        return source_vmdk_open(in, identity, ret, err);
    }
    if (fd_pread(fd, head, (size_t)MIN(window.bytes, sizeof head), window.offset, name, err) < 0)
        return -1;
    const char *format = spec->format ? spec->format : image_format_of(head, sizeof head);
    if (strcmp(format, "vmdk") == 0 && vmdk_is_stream(head)) {
        if (byte_input_file(TAKE_FD(fd), window.offset, window.bytes, name, false, &in, err) < 0)
            return -1;
        return source_vmdk_open(in, identity, ret, err);
    }
    if (strcmp(format, "raw") != 0) {
        struct source_spec of_window = *spec;
        if (spec->member || spec->window_bytes) {
            of_window.window_offset = window.offset;
            of_window.window_bytes = window.bytes;
        }
        if (source_qemu_open(&of_window, format, ret, err) < 0)
            return -1;
    } else {
        window.fd = TAKE_FD(fd);
        if (source_file_open(name, window, ret, err) < 0)
            return -1;
    }
    snprintf((*ret)->identity, sizeof(*ret)->identity, "%s", identity);
    return 0;
}

static int
file_bytes(int fd, const char *name, uint64_t *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "%s: stat", name);
    if (!S_ISBLK(st.st_mode)) {
        *ret = (uint64_t)st.st_size;
        return 0;
    }
    if (ioctl(fd, BLKGETSIZE64, ret) < 0)
        return err_errno(err, errno, "%s: ask for its size", name);
    return 0;
}

static int
find_window(const struct source_spec *spec, int fd, struct file_window *ret, struct err *err)
{
    struct file_window window = { .fd = -1,
                                  .offset = spec->window_offset,
                                  .bytes = spec->window_bytes };
    uint64_t bytes, end;
    if (file_bytes(fd, spec->uri, &bytes, err) < 0)
        return -1;
    if (spec->member) {
        auto_tar_index struct tar_index index = { 0 };
        if (tar_index_read(fd, spec->uri, &index, err) < 0)
            return -1;
        const struct tar_member *member = tar_find(&index, spec->member);
        if (!member)
            return err_set(err, ERR_NOT_FOUND, "%s: has no member '%s'", spec->uri, spec->member);
        window.offset = member->offset;
        window.bytes = member->bytes;
    }
    if (window.bytes == 0 && window.offset <= bytes && !spec->member)
        window.bytes = bytes - window.offset;
    if (!checked_add(window.offset, window.bytes, &end) || end > bytes)
        return err_set(err, ERR_INVALID,
                       "%s: %" PRIu64 " bytes at %" PRIu64 " lie outside the file of %" PRIu64
                       " bytes",
                       spec->uri, window.bytes, window.offset, bytes);
    if (window.bytes == 0)
        return err_set(err, ERR_INVALID, "%s: is empty", spec->uri);
    *ret = window;
    return 0;
}
