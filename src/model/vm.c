#include "model/vm.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "model/text.h"

#define VM_TEXTS_MAX (7 + 3 * VM_MAX_DISKS + 2 * VM_MAX_NICS)

static const char *const bus_names[] = {
    [VM_BUS_SCSI] = "scsi", [VM_BUS_SATA] = "sata",     [VM_BUS_IDE] = "ide",
    [VM_BUS_NVME] = "nvme", [VM_BUS_VIRTIO] = "virtio",
};

static int check_disks(const struct vm *vm, struct err *err);
static int check_nics(const struct vm *vm, struct err *err);
static int check_text(const char *what, const char *text, size_t max, struct err *err);

static size_t list_texts(struct vm *vm, char **ret[VM_TEXTS_MAX]);

struct vm *
vm_new(struct err *err)
{
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm) {
        err_errno(err, ENOMEM, "a machine");
        return NULL;
    }
    vm->vcpus = 1;
    return vm;
}

void
vm_free(struct vm *vm)
{
    if (!vm)
        return;
    char **texts[VM_TEXTS_MAX];
    size_t n = list_texts(vm, texts);
    for (size_t i = 0; i < n; i++)
        free(*texts[i]);
    free(vm);
}

void
vm_cleanup(struct vm **vm)
{
    vm_free(*vm);
}

/* The texts of one, which are all that it owns, in one list. */
static size_t
list_texts(struct vm *vm, char **ret[VM_TEXTS_MAX])
{
    char **of_machine[] = { &vm->name,        &vm->uuid,   &vm->genid,    &vm->title,
                            &vm->description, &vm->osinfo, &vm->cpu_model };
    size_t n = 0;
    for (; n < ARRAY_LEN(of_machine); n++)
        ret[n] = of_machine[n];
    for (size_t i = 0; i < vm->n_disks; i++) {
        ret[n++] = &vm->disks[i].image.path;
        ret[n++] = &vm->disks[i].image.format;
        ret[n++] = &vm->disks[i].serial;
    }
    for (size_t i = 0; i < vm->n_nics; i++) {
        ret[n++] = &vm->nics[i].network;
        ret[n++] = &vm->nics[i].model;
    }
    return n;
}

int
vm_copy(const struct vm *from, struct vm *to, struct err *err)
{
    char **texts[VM_TEXTS_MAX];
    *to = *from;
    size_t n = list_texts(to, texts);
    bool whole = true;
    for (size_t i = 0; i < n; i++)
        if (*texts[i]) {
            *texts[i] = strdup(*texts[i]);
            whole = whole && *texts[i];
        }
    return whole ? 0 : err_errno(err, ENOMEM, "a machine");
}

struct vm_disk *
vm_add_disk(struct vm *vm, struct err *err)
{
    if (vm->n_disks == VM_MAX_DISKS) {
        err_set(err, ERR_INVALID, "more than %d disks", VM_MAX_DISKS);
        return NULL;
    }
    struct vm_disk *disk = &vm->disks[vm->n_disks++];
    memset(disk, 0, sizeof *disk);
    return disk;
}

struct vm_nic *
vm_add_nic(struct vm *vm, struct err *err)
{
    if (vm->n_nics == VM_MAX_NICS) {
        err_set(err, ERR_INVALID, "more than %d network interfaces", VM_MAX_NICS);
        return NULL;
    }
    struct vm_nic *nic = &vm->nics[vm->n_nics++];
    memset(nic, 0, sizeof *nic);
    nic->connected = true;
    return nic;
}

int
vm_set_text(char **field, const char *text, struct err *err)
{
    char *copy = NULL;
    if (text) {
        if (check_text("a text", text, VM_MAX_TEXT, err) < 0)
            return -1;
        while (*text && (isspace((unsigned char)*text) || iscntrl((unsigned char)*text)))
            text++;
        copy = strdup(text);
        if (!copy)
            return err_errno(err, ENOMEM, "a text");
        size_t len = 0;
        for (char *c = copy; *c; c++) {
            if (iscntrl((unsigned char)*c))
                *c = ' ';
            if (*c != ' ')
                len = (size_t)(c - copy) + 1;
        }
        copy[len] = '\0';
        if (len == 0) {
            free(copy);
            copy = NULL;
        }
    }
    free(*field);
    *field = copy;
    return 0;
}

int
vm_set_name(struct vm *vm, const char *text, struct err *err)
{
    if (vm_set_text(&vm->name, text, err) < 0)
        return -1;
    if (!vm->name || !strchr(vm->name, '/'))
        return 0;
    if (!vm->title && vm_set_text(&vm->title, vm->name, err) < 0)
        return -1;
    for (char *c = vm->name; *c; c++)
        if (*c == '/')
            *c = '-';
    return 0;
}

static int
compare_disks(const struct vm_disk *a, const struct vm_disk *b)
{
    if (a->bus != b->bus)
        return a->bus < b->bus ? -1 : 1;
    if (a->controller != b->controller)
        return a->controller < b->controller ? -1 : 1;
    if (a->unit != b->unit)
        return a->unit < b->unit ? -1 : 1;
    return 0;
}

/* Insertion: stable, and there are few disks. */
void
vm_sort_disks(struct vm *vm)
{
    for (size_t i = 1; i < vm->n_disks; i++) {
        struct vm_disk disk = vm->disks[i];
        size_t j = i;
        for (; j > 0 && compare_disks(&vm->disks[j - 1], &disk) > 0; j--)
            vm->disks[j] = vm->disks[j - 1];
        vm->disks[j] = disk;
    }
}

const char *
vm_disk_id(const struct vm_disk *disk, char text[VM_DISK_ID_MAX])
{
    snprintf(text, VM_DISK_ID_MAX, "%s%u:%u", vm_bus_name(disk->bus), disk->controller, disk->unit);
    return text;
}

/* Bijective base 26: z is followed by aa. */
const char *
vm_drive_letters(size_t n, char text[4])
{
    char reversed[4];
    size_t len = 0;
    for (n++; n > 0 && len < 3; n = (n - 1) / 26)
        reversed[len++] = (char)('a' + (n - 1) % 26);
    for (size_t i = 0; i < len; i++)
        text[i] = reversed[len - 1 - i];
    text[len] = '\0';
    return text;
}

int
vm_check(const struct vm *vm, struct err *err)
{
    if (!vm->name || !*vm->name)
        return err_set(err, ERR_INVALID, "the machine has no name");
    if (check_text("the machine's name", vm->name, VM_MAX_NAME, err) < 0)
        return -1;
    if (strchr(vm->name, '/') || text_has_control(vm->name) || strcmp(vm->name, ".") == 0 ||
        strcmp(vm->name, "..") == 0)
        return err_set(err, ERR_INVALID,
                       "the machine's name '%.80s' cannot be a file name: give it another",
                       vm->name);
    if (vm->vcpus < 1 || vm->vcpus > VM_MAX_VCPUS)
        return err_set(err, ERR_INVALID, "%u virtual CPUs: must be 1 to %d", vm->vcpus,
                       VM_MAX_VCPUS);
    if (vm->sockets || vm->cores || vm->threads) {
        uint64_t product;
        if (!checked_mul(vm->sockets, vm->cores, &product) ||
            !checked_mul(product, vm->threads, &product) || product != vm->vcpus)
            return err_set(err, ERR_INVALID,
                           "%u sockets of %u cores of %u threads are not %u virtual CPUs",
                           vm->sockets, vm->cores, vm->threads, vm->vcpus);
    }
    if (vm->memory_bytes == 0 || vm->memory_bytes > VM_MAX_MEMORY_BYTES)
        return err_set(err, ERR_INVALID, "%" PRIu64 " bytes of memory: must be 1 to %" PRIu64,
                       vm->memory_bytes, VM_MAX_MEMORY_BYTES);
    if (check_disks(vm, err) < 0)
        return -1;
    return check_nics(vm, err);
}

static int
check_disks(const struct vm *vm, struct err *err)
{
    if (vm->n_disks > VM_MAX_DISKS)
        return err_set(err, ERR_INVALID, "more than %d disks", VM_MAX_DISKS);
    for (size_t i = 0; i < vm->n_disks; i++) {
        const struct vm_disk *disk = &vm->disks[i];
        char id[VM_DISK_ID_MAX];
        vm_disk_id(disk, id);
        if (disk->capacity_bytes > VM_MAX_DISK_BYTES)
            return err_set(err, ERR_INVALID,
                           "disk %s: a capacity of %" PRIu64 " bytes is more than the %" PRIu64
                           " that can be",
                           id, disk->capacity_bytes, VM_MAX_DISK_BYTES);
        if (!disk->image.path && disk->capacity_bytes == 0)
            return err_set(err, ERR_INVALID, "disk %s: neither an image nor a capacity", id);
        for (size_t j = 0; j < i; j++) {
            const struct vm_disk *other = &vm->disks[j];
            if (other->bus == disk->bus && other->controller == disk->controller &&
                other->unit == disk->unit)
                return err_set(err, ERR_INVALID, "two disks at %s", id);
        }
    }
    return 0;
}

static int
check_nics(const struct vm *vm, struct err *err)
{
    if (vm->n_nics > VM_MAX_NICS)
        return err_set(err, ERR_INVALID, "more than %d network interfaces", VM_MAX_NICS);
    for (size_t i = 0; i < vm->n_nics; i++) {
        const char *mac = vm->nics[i].mac;
        char same[18];
        if (*mac && (vm_mac_parse(mac, same, err) < 0 || strcmp(mac, same) != 0))
            return err_set(err, ERR_INVALID, "network interface %zu: bad MAC address '%s'", i + 1,
                           mac);
    }
    return 0;
}

int
vm_mac_parse(const char *text, char ret_mac[18], struct err *err)
{
    char digits[12];
    size_t n = 0;
    for (const char *c = text; *c; c++) {
        if (isxdigit((unsigned char)*c) && n < sizeof digits)
            digits[n++] = (char)tolower((unsigned char)*c);
        else if (!strchr(":-.", *c) || n == 0 || n == sizeof digits || n % 2 != 0)
            goto bad;
    }
    if (n != sizeof digits)
        goto bad;
    for (size_t i = 0; i < 6; i++) {
        ret_mac[3 * i] = digits[2 * i];
        ret_mac[3 * i + 1] = digits[2 * i + 1];
        ret_mac[3 * i + 2] = i < 5 ? ':' : '\0';
    }
    return 0;
bad:
    return err_set(err, ERR_INVALID, "'%.40s' is not a MAC address (00:50:56:aa:bb:01)", text);
}

int
vm_uuid_parse(const char *text, char ret_uuid[VM_UUID_MAX], struct err *err)
{
    const char *at = text + (*text == '{');
    for (size_t i = 0; i < VM_UUID_MAX - 1; i++, at++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? *at != '-' : !isxdigit((unsigned char)*at))
            goto bad;
        ret_uuid[i] = (char)tolower((unsigned char)*at);
    }
    ret_uuid[VM_UUID_MAX - 1] = '\0';
    if (strcmp(at, *text == '{' ? "}" : "") == 0)
        return 0;
bad:
    return err_set(err, ERR_INVALID, "'%.60s' is not a UUID", text);
}

const char *
vm_bus_name(enum vm_bus bus)
{
    return (size_t)bus < ARRAY_LEN(bus_names) ? bus_names[bus] : "?";
}

static int
check_text(const char *what, const char *text, size_t max, struct err *err)
{
    size_t len = strlen(text);
    if (len > max)
        return err_set(err, ERR_INVALID, "%s is longer than %zu bytes", what, max);
    if (text_utf8_len(text) != len)
        return err_set(err, ERR_INVALID, "%s is not UTF-8", what);
    return 0;
}
