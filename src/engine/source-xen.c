/* A machine of a Xen host, by SSH: its domain XML from virsh there, its disks through nbdkit.
 *
 * A disk that is not raw gets a qemu-nbd in front of its nbdkit. Its header is the other host's,
 * and could name files of this one: so it is looked at first, and qemu-nbd is told that there is no
 * backing file.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/size.h"
#include "descriptor/libvirtxml.h"
#include "engine/source.h"
#include "engine/ssh-command.h"
#include "wire/image-format.h"
#include "wire/nbdkit.h"
#include "wire/qemu-nbd.h"

#define VIRSH "LC_ALL=C virsh -q -c xen:///system "
#define ANSWER_MAX ((size_t)4 << 20) /* bytes of what a command there says */
#define STATE_OFF "shut off"
#define STATE_MAX 64
#define FILE_TEXT_MAX 160
#define URI_MAX 192

struct xen_disk {
    char *path;               /* there */
    char *name;               /* for people: HOST:PATH */
    char file[FILE_TEXT_MAX]; /* size, time of change and inode, as stat there says */
    struct nbdkit kit;
    struct qemu_nbd qemu;
    char uri[URI_MAX];
};

struct xen_source {
    struct source source;
    char state[STATE_MAX]; /* of the machine, in virsh's words */
    size_t n_disks;
    struct xen_disk disks[VM_MAX_DISKS];
};

static const struct source_ops xen_ops;
static int read_domain(struct xen_source *xen, struct err *err);
static int take_disks(struct xen_source *xen, struct err *err);
static int look_at_files(struct xen_source *xen, struct err *err);
static int open_disk(struct xen_source *xen, size_t i, struct err *err);

static struct xen_source *
to_xen(const struct source *src)
{
    return (struct xen_source *)src;
}

int
source_xen_new(struct source **ret, struct err *err)
{
    struct xen_source *xen = calloc(1, sizeof *xen);
    if (!xen)
        return err_errno(err, ENOMEM, "a source");
    xen->source.ops = &xen_ops;
    *ret = &xen->source;
    return 0;
}

static void
stop_servers(struct xen_source *xen)
{
    for (size_t i = 0; i < xen->n_disks; i++) {
        qemu_nbd_stop(&xen->disks[i].qemu);
        nbdkit_stop(&xen->disks[i].kit);
    }
}

static void
xen_free(struct source *src)
{
    struct xen_source *xen = to_xen(src);
    stop_servers(xen);
    for (size_t i = 0; i < xen->n_disks; i++) {
        free(xen->disks[i].path);
        free(xen->disks[i].name);
    }
    free(xen);
}

static int
xen_describe(struct source *src, struct err *err)
{
    struct xen_source *xen = to_xen(src);
    if (src->job->ssh_accept_new)
        source_log(src, LOG_LEVEL_WARNING, "no-verify",
                   "no_verify=1 does not switch verification off here: a host key that is not "
                   "known is kept at its first use, and another one is refused from then on");
    if (read_domain(xen, err) < 0 || take_disks(xen, err) < 0)
        return -1;
    return look_at_files(xen, err);
}

/* ---- what virsh says ---- */

static int
run_there(struct xen_source *xen, const char *command, struct buf *out, struct err *err)
{
    struct ssh_command ssh = {
        .host = &xen->source.job->ssh,
        .accept_new = xen->source.job->ssh_accept_new,
        .command = command,
        .cancelled = source_cancelled,
        .arg = &xen->source,
    };
    return ssh_command_run(&ssh, out, err);
}

/* The state, a line or two, then the XML. */
static int
read_domain(struct xen_source *xen, struct err *err)
{
    const struct job *job = xen->source.job;
    auto_buf struct buf command = BUF_INIT(ANSWER_MAX), out = BUF_INIT(ANSWER_MAX);
    if (buf_add_str(&command, VIRSH "domstate --domain ", err) < 0 ||
        ssh_quote(job->vm, &command, err) < 0 ||
        buf_add_str(&command, " && " VIRSH "dumpxml --domain ", err) < 0 ||
        ssh_quote(job->vm, &command, err) < 0)
        return -1;
    if (run_there(xen, command.data, &out, err) < 0)
        return -1;
    char *xml = out.data ? strchr(out.data, '<') : NULL;
    if (!xml)
        return err_set(err, ERR_INVALID, "%s: virsh there gave no description of '%s'",
                       job->ssh.host, job->vm);
    snprintf(xen->state, sizeof xen->state, "%.*s", (int)strcspn(out.data, "\r\n<"), out.data);
    size_t len = out.len - (size_t)(xml - out.data);
    return libvirtxml_parse(xml, len, job->vm, "/", xen->source.vm, err);
}

/* ---- its disks ---- */

/* What Xen's toolstack calls raw. */
static const char *
format_of(const char *format)
{
    return !format || strcmp(format, "aio") == 0 ? "raw" : format;
}

static int
take_disks(struct xen_source *xen, struct err *err)
{
    struct vm *vm = xen->source.vm;
    const char *host = xen->source.job->ssh.host;
    for (size_t i = 0; i < vm->n_disks; i++) {
        struct vm_image *image = &vm->disks[i].image;
        struct xen_disk *disk = &xen->disks[i];
        const char *format = format_of(image->format);
        disk->kit = NBDKIT_INIT;
        disk->qemu = QEMU_NBD_INIT;
        xen->n_disks = i + 1;
        if (image->path[0] != '/')
            return err_set(err, ERR_INVALID,
                           "%s: its disk %s lies behind a server: only files of %s are read; save "
                           "the XML and use -i libvirtxml where that server is reached",
                           vm->name, image->path, host);
        if (strcmp(format, "raw") != 0 && strcmp(format, "qcow2") != 0)
            return err_set(err, ERR_INVALID,
                           "%s: its disk %s is of format %s, and only raw and qcow2 are read from "
                           "a Xen host: convert it there (qemu-img convert -O qcow2)",
                           vm->name, image->path, format);
        if (vm_set_text(&image->format, format, err) < 0)
            return -1;
        disk->path = TAKE_PTR(image->path);
        if (asprintf(&disk->name, "%s:%s", host, disk->path) < 0) {
            disk->name = NULL;
            return err_errno(err, ENOMEM, "%s", host);
        }
        if (vm_set_text(&image->path, disk->name, err) < 0)
            return -1;
    }
    return 0;
}

/* "regular file|1073741824|1763700000|131" a disk. */
static int
take_file(struct xen_source *xen, size_t i, const char *line, size_t len, struct err *err)
{
    static const char regular[] = "regular file|";
    struct xen_disk *disk = &xen->disks[i];
    uint64_t bytes = 0;
    if (len < strlen(regular) || strncmp(line, regular, strlen(regular)) != 0)
        return err_set(err, ERR_INVALID,
                       "%s: is a %.*s, and SFTP reads only files: copy it into a file there (dd "
                       "if=%s of=... conv=sparse) and have the machine use that",
                       disk->name, (int)MIN(strcspn(line, "|"), len), line, disk->path);
    line += strlen(regular);
    len -= strlen(regular);
    if (sscanf(line, "%" SCNu64 "|", &bytes) != 1 || bytes == 0)
        return err_set(err, ERR_INVALID, "%s: is empty", disk->name);
    snprintf(disk->file, sizeof disk->file, "%.*s", (int)len, line);
    if (strcmp(xen->source.vm->disks[i].image.format, "raw") == 0)
        xen->source.vm->disks[i].capacity_bytes = bytes;
    return 0;
}

static int
look_at_files(struct xen_source *xen, struct err *err)
{
    auto_buf struct buf command = BUF_INIT(ANSWER_MAX), out = BUF_INIT(ANSWER_MAX);
    if (buf_add_str(&command, "LC_ALL=C stat -L -c '%F|%s|%Y|%i' --", err) < 0)
        return -1;
    for (size_t i = 0; i < xen->n_disks; i++)
        if (buf_add_str(&command, " ", err) < 0 || ssh_quote(xen->disks[i].path, &command, err) < 0)
            return -1;
    if (run_there(xen, command.data, &out, err) < 0)
        return -1;
    const char *line = out.data ? out.data : "";
    for (size_t i = 0; i < xen->n_disks; i++) {
        size_t len = strcspn(line, "\n");
        if (take_file(xen, i, line, len, err) < 0)
            return -1;
        line += len + (line[len] == '\n');
    }
    return 0;
}

static int
xen_check(struct source *src, struct err *err)
{
    const struct xen_source *xen = to_xen(src);
    if (strcmp(xen->state, STATE_OFF) == 0)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "%s: is %s at %s: its disks change while they are read; shut it down first "
                   "(virsh shutdown)",
                   src->vm->name, *xen->state ? xen->state : "in an unknown state",
                   src->job->ssh.host);
}

static json_t *
xen_disk_identity(const struct source *src, size_t i)
{
    const struct ssh_host *host = &src->job->ssh;
    return json_pack("{s:s, s:i, s:o, s:s}", "host", host->host, "port", (int)host->port, "path",
                     json_text(to_xen(src)->disks[i].path), "format",
                     src->vm->disks[i].image.format);
}

static int
xen_content(struct source *src, struct buf *ret, struct err *err)
{
    const struct xen_source *xen = to_xen(src);
    for (size_t i = 0; i < xen->n_disks; i++)
        if (buf_printf(ret, err, "%s\n", xen->disks[i].file) < 0)
            return -1;
    return 0;
}

/* ---- open ---- */

static int
xen_open(struct source *src, struct state *state, struct err *err)
{
    struct xen_source *xen = to_xen(src);
    (void)state;
    for (size_t i = 0; i < xen->n_disks; i++)
        if (open_disk(xen, i, err) < 0)
            return -1;
    return 0;
}

/* QEMU, docs/interop/qcow2.txt: 8 backing file's offset, 32 encryption, 72 incompatible features
 * of version 3 and later (bit 2: the data is in another file). */
static int
check_qcow2(const struct xen_disk *disk, const uint8_t *head, struct err *err)
{
    static const uint8_t zero[8];
    if (strcmp(image_format_of(head, IMAGE_FORMAT_HEAD_BYTES), "qcow2") != 0)
        return err_set(err, ERR_INVALID,
                       "%s: the machine's description says qcow2, and its first bytes are not "
                       "those of one",
                       disk->name);
    if (memcmp(head + 8, zero, 8) != 0)
        return err_set(err, ERR_INVALID,
                       "%s: is based on another image: merge them there (qemu-img convert -O "
                       "qcow2, or virsh blockcommit)",
                       disk->name);
    if (memcmp(head + 32, zero, 4) != 0)
        return err_set(err, ERR_INVALID, "%s: is encrypted: decrypt it there first", disk->name);
    if (head[7] >= 3 && (head[79] & 4))
        return err_set(err, ERR_INVALID,
                       "%s: keeps its data in another file: merge them there (qemu-img convert "
                       "-O qcow2)",
                       disk->name);
    return 0;
}

static int
open_disk(struct xen_source *xen, size_t i, struct err *err)
{
    struct xen_disk *disk = &xen->disks[i];
    struct vm_disk *described = &xen->source.vm->disks[i];
    uint8_t head[IMAGE_FORMAT_HEAD_BYTES];
    if (nbdkit_ssh_start(&disk->kit, &xen->source.job->ssh, disk->path, head, sizeof head, err) < 0)
        return -1;
    snprintf(disk->uri, sizeof disk->uri, "nbd+unix:///?socket=%s", disk->kit.socket);
    if (strcmp(described->image.format, "raw") == 0) {
        described->capacity_bytes = disk->kit.bytes;
        return 0;
    }
    struct qemu_nbd_image image = { .path = disk->uri, .format = described->image.format };
    if (check_qcow2(disk, head, err) < 0)
        return -1;
    if (qemu_nbd_start(&disk->qemu, &image, err) < 0)
        return err_prefix(err, "%s", disk->name);
    described->capacity_bytes = image_format_capacity(head, sizeof head);
    snprintf(disk->uri, sizeof disk->uri, "nbd+unix:///?socket=%s", disk->qemu.socket);
    return 0;
}

static bool
xen_is_random_access(const struct source *src)
{
    (void)src;
    return true;
}

static void
xen_image(const struct source *src, size_t i, struct vm_image *ret)
{
    static char raw[] = "raw";
    *ret = (struct vm_image){ .path = to_xen(src)->disks[i].uri, .format = raw };
}

/* ---- copying ---- */

static int
xen_begin_disk(struct source *src, size_t i, struct copy_request *request, struct err *err)
{
    const struct xen_disk *disk = &to_xen(src)->disks[i];
    (void)err;
    request->source_uri = disk->uri;
    request->source_format = "raw";
    request->source_name = disk->name;
    request->source_identity = disk->file;
    return 0;
}

static int
xen_end_disk(struct source *src, size_t i, const struct copy_result *result, struct err *err)
{
    char words[NBDKIT_WORDS_MAX];
    if (result)
        return 0;
    nbdkit_last_words(&to_xen(src)->disks[i].kit, words);
    if (*words && err->kind != ERR_CANCELLED) {
        struct err why = *err;
        err_set(err, why.kind, "SSH to %s: %s: %s", src->job->ssh.host, words, why.text);
    }
    return -1;
}

static int
xen_close(struct source *src, struct state *state, bool complete, struct err *err)
{
    (void)state;
    (void)complete;
    (void)err;
    stop_servers(to_xen(src));
    return 0;
}

static const struct source_ops xen_ops = {
    .describe = xen_describe,
    .check = xen_check,
    .disk_identity = xen_disk_identity,
    .content = xen_content,
    .open = xen_open,
    .is_random_access = xen_is_random_access,
    .image = xen_image,
    .begin_disk = xen_begin_disk,
    .end_disk = xen_end_disk,
    .close = xen_close,
    .free = xen_free,
};
