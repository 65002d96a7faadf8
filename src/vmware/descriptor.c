/* The text that describes a VMDK on a datastore: lines of key=value, and one line an extent:
 *     RW 33554432 VMFS "web01-flat.vmdk" 0
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "model/vm.h"
#include "vmware/datastore.h"
#include "vmware/fault.h"
#include "vmware/property.h"

#define SECTOR_BYTES 512
#define LINE_MAX_BYTES 4096

void
vmware_descriptor_free(struct vmware_descriptor *descriptor)
{
    if (!descriptor)
        return;
    for (size_t i = 0; i < descriptor->n_extents; i++)
        free(descriptor->extents[i].file);
    free(descriptor->parent);
    free(descriptor);
}

/* "x-flat.vmdk" beside "[ds1] web01/x.vmdk"; a path from the root stays as it is. */
static int
beside(const char *file, const char *name, char **ret, struct err *err)
{
    const char *slash = strrchr(file, '/'), *bracket = strstr(file, "] ");
    const char *end = slash ? slash + 1 : bracket ? bracket + 2 : file;
    if (!*name || strncmp(name, "../", 3) == 0 || strstr(name, "/../"))
        return err_set(err, ERR_INVALID, "an extent in \"%.200s\"", name);
    if (*name == '/')
        end = file;
    if (asprintf(ret, "%.*s%s", (int)(end - file), file, name) < 0) {
        *ret = NULL;
        return err_errno(err, ENOMEM, "an extent");
    }
    return 0;
}

/* The next word of a line, cut out of it; "" at its end. */
static char *
next_word(char **line)
{
    char *word = *line + strspn(*line, " \t");
    size_t len;
    if (*word == '"') {
        word++;
        len = strcspn(word, "\"");
    } else {
        len = strcspn(word, " \t");
    }
    *line = word + len + (word[len] != '\0');
    word[len] = '\0';
    return word;
}

static int
take_extent(struct vmware_descriptor *descriptor, char *line, const char *file, struct err *err)
{
    if (descriptor->n_extents == VMWARE_EXTENTS_MAX)
        return err_set(err, ERR_INVALID, "more than %d extents", VMWARE_EXTENTS_MAX);
    struct vmware_extent *extent = &descriptor->extents[descriptor->n_extents++];
    uint64_t offset;
    next_word(&line); /* RW, RDONLY or NOACCESS */
    const char *sectors = next_word(&line);
    if (!checked_mul(text_u64(sectors), SECTOR_BYTES, &extent->bytes) || extent->bytes == 0 ||
        !checked_add(descriptor->capacity_bytes, extent->bytes, &descriptor->capacity_bytes) ||
        descriptor->capacity_bytes > VM_MAX_DISK_BYTES)
        return err_set(err, ERR_INVALID, "an extent of \"%.40s\" sectors", sectors);
    TEXT_TAKE(extent->type, next_word(&line));
    if (strcmp(extent->type, "ZERO") == 0)
        return 0;
    const char *name = next_word(&line);
    if (beside(file, name, &extent->file, err) < 0)
        return -1;
    if (!checked_mul(text_u64(next_word(&line)), SECTOR_BYTES, &offset))
        return err_set(err, ERR_INVALID, "an extent beyond the end of any file");
    extent->offset_bytes = offset;
    return 0;
}

static int
take_setting(struct vmware_descriptor *descriptor, char *line, struct err *err)
{
    char *value = strchr(line, '=');
    if (!value)
        return 0;
    *value++ = '\0';
    char *name = next_word(&line);
    value = next_word(&value);
    if (strcasecmp(name, "createType") == 0)
        TEXT_TAKE(descriptor->create_type, value);
    else if (strcasecmp(name, "CID") == 0)
        TEXT_TAKE(descriptor->cid, value);
    else if (strcasecmp(name, "parentCID") == 0)
        TEXT_TAKE(descriptor->parent_cid, value);
    else if (strcasecmp(name, "parentFileNameHint") == 0 && *value && !descriptor->parent &&
             !(descriptor->parent = strdup(value)))
        return err_errno(err, ENOMEM, "a descriptor");
    return 0;
}

static int
take_line(struct vmware_descriptor *descriptor, char *line, const char *file, struct err *err)
{
    line += strspn(line, " \t");
    size_t len = strlen(line);
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        line[--len] = '\0';
    if (strncmp(line, "RW ", 3) == 0 || strncmp(line, "RDONLY ", 7) == 0 ||
        strncmp(line, "NOACCESS ", 9) == 0)
        return take_extent(descriptor, line, file, err);
    return *line == '#' ? 0 : take_setting(descriptor, line, err);
}

int
vmware_descriptor_parse(const char *text, const char *file, struct vmware_descriptor **ret,
                        struct err *err)
{
    auto_vmware_descriptor struct vmware_descriptor *descriptor = calloc(1, sizeof *descriptor);
    if (!descriptor)
        return err_errno(err, ENOMEM, "%s", file);
    if (strncmp(text, "# Disk DescriptorFile", 21) != 0 || strlen(text) > VMWARE_DESCRIPTOR_MAX)
        return err_set(err, ERR_INVALID, "%s: not the text that describes a disk", file);
    while (*text) {
        char line[LINE_MAX_BYTES];
        size_t len = strcspn(text, "\n");
        if (len >= sizeof line)
            return err_set(err, ERR_INVALID, "%s: a line of %zu bytes", file, len);
        memcpy(line, text, len);
        line[len] = '\0';
        text += len + (text[len] == '\n');
        if (take_line(descriptor, line, file, err) < 0)
            return err_prefix(err, "%s", file);
    }
    if (descriptor->n_extents == 0)
        return err_set(err, ERR_INVALID, "%s: it names no extent", file);
    *ret = TAKE_PTR(descriptor);
    return 0;
}
