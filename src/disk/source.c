#include "disk/source.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

int
source_kind_find(const struct source_kind *const *kinds, const struct source_spec *spec,
                 const struct source_kind **ret, struct err *err)
{
    const char *name = spec->kind ? spec->kind : "file";
    for (; *kinds; kinds++)
        if (strcmp((*kinds)->name, name) == 0) {
            *ret = *kinds;
            return 0;
        }
    return err_set(err, ERR_INVALID,
                   "a source of kind '%s' cannot be read by this program: vmferry-copy-vddk reads "
                   "'vddk' and nothing else, vmferry-copy all other kinds",
                   name);
}

int
source_open(const struct source_kind *kind, const struct source_spec *spec, struct source **ret,
            struct err *err)
{
    struct source *src = NULL;
    if (kind->open(spec, &src, err) < 0)
        return -1;
    uint64_t told = spec->capacity_bytes;
    uint64_t apart = told > src->bytes ? told - src->bytes : src->bytes - told;
    if (src->bytes == 0 || src->bytes > DISK_MAX_BYTES)
        err_set(err, ERR_INVALID, "%s: a disk of %" PRIu64 " bytes is out of range", src->name,
                src->bytes);
    else if (told && apart >= CAPACITY_TOLERANCE)
        err_set(err, ERR_INVALID,
                "%s: the image holds a disk of %" PRIu64 " bytes, the machine's description says "
                "%" PRIu64 ": one of them is wrong or damaged",
                src->name, src->bytes, told);
    else {
        *ret = src;
        return 0;
    }
    source_close(src);
    return -1;
}

void
source_close(struct source *src)
{
    if (!src)
        return;
    source_witness_close(src->witness);
    src->ops->close(src);
}

int
source_check_unchanged(const struct source *src, struct err *err)
{
    return src->witness ? source_witness_check(src->witness, err) : 0;
}

void
source_set_identity(struct source *src, const char *kind, const char *text)
{
    if (!text || text[0] == '\0') {
        src->identity[0] = '\0';
        return;
    }
    int len =
        snprintf(src->identity, sizeof src->identity, "%s %" PRIu64 " %s", kind, src->bytes, text);
    if (len < (int)sizeof src->identity)
        return;
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(text, strlen(text)));
    len = snprintf(src->identity, sizeof src->identity, "%s %" PRIu64 " xxh128:", kind, src->bytes);
    for (size_t i = 0; i < sizeof hash.digest; i++)
        len += snprintf(src->identity + len, sizeof src->identity - (size_t)len, "%02x",
                        hash.digest[i]);
}

unsigned
source_lanes_for_cpus(unsigned max)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return MIN(MAX((unsigned)n, 2u), max);
}
