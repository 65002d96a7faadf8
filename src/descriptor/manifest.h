/* The manifest of an OVF package (DSP0243, 6.2 "Package Authenticity"): a digest for each file.
 *
 * Lines are `SHA256(name)= hex`; SHA1, SHA256 and SHA512 are known. It shows damage, not fraud: the
 * certificate file, which would sign it, is not looked at.
 */
#ifndef DESCRIPTOR_MANIFEST_H
#define DESCRIPTOR_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Both may be NULL; both are called after each MiB or so, from the calling thread. */
struct manifest_watch {
    void (*progress)(uint64_t done_bytes, uint64_t total_bytes, void *arg);
    bool (*cancelled)(void *arg);
    void *arg;
};

struct manifest_result {
    bool present;     /* false: the package has none; nothing was verified */
    bool certificate; /* there is a .cert file; it was not looked at */
    size_t n_files;   /* verified */
    uint64_t bytes;   /* of them together */
};

/* path as for ova_open. watch may be NULL. ERR_INVALID: a digest differs (names the file, both
 * digests), a line is malformed or repeated or of an unknown algorithm (line number);
 * ERR_NOT_FOUND: a file it names is missing; ERR_CANCELLED. A package without a manifest is no
 * error. */
int manifest_verify(const char *path, const struct manifest_watch *watch,
                    struct manifest_result *ret_result, struct err *err);

/* Lines of a manifest, without any file: for manifest_verify and for tests. */
enum manifest_digest { MANIFEST_SHA1, MANIFEST_SHA256, MANIFEST_SHA512 };
#define MANIFEST_MAX_DIGEST 64 /* bytes */
#define MANIFEST_MAX_LINES 10000

struct manifest_line {
    char *name; /* a plain relative name */
    enum manifest_digest kind;
    unsigned char digest[MANIFEST_MAX_DIGEST];
    unsigned line; /* from 1 */
};

struct manifest {
    size_t n_lines;
    struct manifest_line *lines;
};

int manifest_parse(const char *text, size_t len, const char *name, struct manifest *ret_manifest,
                   struct err *err);
void manifest_free(struct manifest *manifest);
#define auto_manifest AUTO(manifest_free)

#endif
