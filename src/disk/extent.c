#include "disk/extent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int parse_line(const char *line, uint64_t disk_bytes, struct extent *ret, struct err *err);
static int compare_extents(const void *a, const void *b);

int
extent_add(struct extent_list *list, uint64_t offset, uint64_t len, bool zero, struct err *err)
{
    struct extent *last = list->n ? &list->extents[list->n - 1] : NULL;
    if (last && last->zero == zero && last->offset + last->len == offset) {
        last->len += len;
        return 0;
    }
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        struct extent *extents = reallocarray(list->extents, cap, sizeof *extents);
        if (!extents)
            return err_errno(err, ENOMEM, "list of %zu extents", cap);
        list->extents = extents;
        list->cap = cap;
    }
    list->extents[list->n++] = (struct extent){ offset, len, zero };
    return 0;
}

void
extent_clear(struct extent_list *list)
{
    list->n = 0;
}

void
extent_free(struct extent_list *list)
{
    free(list->extents);
    *list = (struct extent_list){ 0 };
}

int
ranges_read(const char *path, uint64_t disk_bytes, struct extent_list *ret, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    if (file_read(path, RANGES_FILE_MAX, &text, &len, err) < 0)
        return -1;
    if (strlen(text) != len)
        return err_set(err, ERR_INVALID, "%s: not a list of ranges: holds a zero byte", path);
    if (ranges_parse(text, disk_bytes, ret, err) < 0)
        return err_prefix(err, "%s", path);
    return 0;
}

int
ranges_parse(const char *text, uint64_t disk_bytes, struct extent_list *ret, struct err *err)
{
    auto_extents struct extent_list raw = { 0 };
    size_t line_no = 0;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        struct extent range = { 0 };
        line_no++;
        int r = parse_line(line, disk_bytes, &range, err);
        if (r < 0)
            return err_prefix(err, "line %zu", line_no);
        if (r == 0)
            continue;
        if (raw.n == RANGES_MAX)
            return err_set(err, ERR_INVALID, "more than %d ranges", RANGES_MAX);
        if (extent_add(&raw, range.offset, range.len, false, err) < 0)
            return -1;
    }
    if (raw.n > 0)
        qsort(raw.extents, raw.n, sizeof *raw.extents, compare_extents);

    auto_extents struct extent_list joined = { 0 };
    for (size_t i = 0; i < raw.n; i++) {
        uint64_t begin = raw.extents[i].offset, end = begin + raw.extents[i].len;
        if (joined.n > 0) {
            struct extent *last = &joined.extents[joined.n - 1];
            if (begin <= last->offset + last->len) {
                last->len = MAX(end, last->offset + last->len) - last->offset;
                continue;
            }
        }
        if (extent_add(&joined, begin, end - begin, false, err) < 0)
            return -1;
    }
    *ret = joined;
    joined = (struct extent_list){ 0 };
    return 0;
}

/* 1: a range, rounded out; 0: nothing on this line. */
static int
parse_line(const char *line, uint64_t disk_bytes, struct extent *ret, struct err *err)
{
    uint64_t numbers[2];
    size_t n = 0;
    const char *p = line;
    for (;;) {
        p += strspn(p, " \t\r");
        if (*p == '\0' || *p == '\n' || *p == '#')
            break;
        char *end;
        errno = 0;
        bool hex = p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
        uint64_t number = strtoull(p, &end, hex ? 16 : 10);
        if (n == 2 || *p < '0' || *p > '9' || errno || !strchr(" \t\r\n#", *end))
            return err_set(err, ERR_INVALID, "not a range: write OFFSET LENGTH in bytes");
        numbers[n++] = number;
        p = end;
    }
    if (n == 0)
        return 0;
    uint64_t end;
    if (n != 2 || numbers[1] == 0 || !checked_add(numbers[0], numbers[1], &end))
        return err_set(err, ERR_INVALID, "not a range: write OFFSET LENGTH in bytes");
    if (numbers[0] >= disk_bytes || end > round_up(disk_bytes, CLUSTER_BYTES))
        return err_set(err, ERR_INVALID,
                       "range %" PRIu64 " + %" PRIu64 " lies outside the disk of %" PRIu64 " bytes",
                       numbers[0], numbers[1], disk_bytes);
    ret->offset = round_down(numbers[0], CLUSTER_BYTES);
    ret->len = MIN(round_up(end, CLUSTER_BYTES), disk_bytes) - ret->offset;
    return 1;
}

static int
compare_extents(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}
