#include "descriptor/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <nettle/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "descriptor/href.h"
#include "descriptor/package.h"

#define MANIFEST_MAX_BYTES ((size_t)4 << 20)
#define BLOCK_BYTES MIB

union digest_state {
    struct sha1_ctx sha1;
    struct sha256_ctx sha256;
    struct sha512_ctx sha512;
};

static const struct {
    const char *name;
    const struct nettle_hash *hash;
} digests[] = {
    [MANIFEST_SHA1] = { "SHA1", &nettle_sha1 },
    [MANIFEST_SHA256] = { "SHA256", &nettle_sha256 },
    [MANIFEST_SHA512] = { "SHA512", &nettle_sha512 },
};

/* A verification on its way. */
struct verify {
    const struct package *package;
    const struct manifest_watch *watch;
    unsigned char *block; /* BLOCK_BYTES */
    uint64_t done_bytes, total_bytes;
};

static char *find_manifest(const struct package *package);
static int verify_files(const struct package *package, const struct manifest *manifest,
                        const struct manifest_watch *watch, struct manifest_result *result,
                        struct err *err);
static int verify_file(struct verify *verify, const struct manifest_line *line, struct err *err);
static int digest_file(struct verify *verify, const struct package_file *file, const char *name,
                       enum manifest_digest kind, unsigned char ret_digest[MANIFEST_MAX_DIGEST],
                       struct err *err);
static const char *short_hex(const unsigned char *digest, char text[32]);
static int parse_line(const char *text, size_t len, struct manifest_line *line, struct err *err);
static int parse_hex(const char *text, size_t len, struct manifest_line *line, struct err *err);
static int check_repeated(const struct manifest *manifest, const char *name, struct err *err);

int
manifest_verify(const char *path, const struct manifest_watch *watch,
                struct manifest_result *ret_result, struct err *err)
{
    auto_package struct package package = PACKAGE_INIT;
    if (package_open(path, &package, err) < 0)
        return -1;
    struct manifest_result result = { 0 };
    auto_free char *cert = package_sibling(&package, ".cert");
    result.certificate = cert && package_has(&package, cert);
    auto_free char *name = find_manifest(&package);
    if (name) {
        auto_free char *text = NULL;
        size_t len;
        auto_manifest struct manifest manifest = { 0 };
        result.present = true;
        if (package_read_file(&package, name, MANIFEST_MAX_BYTES, &text, &len, err) < 0 ||
            manifest_parse(text, len, name, &manifest, err) < 0 ||
            verify_files(&package, &manifest, watch, &result, err) < 0)
            return err_prefix(err, "%s", path);
    }
    *ret_result = result;
    return 0;
}

/* It is called as the descriptor is; in a tar, which holds nothing but the package, any other name
 * will do too. */
static char *
find_manifest(const struct package *package)
{
    char *name = package_sibling(package, ".mf");
    if (!name || package_has(package, name))
        return name;
    free(name);
    size_t prefix = strlen(package->prefix);
    for (size_t i = 0; i < package->index.n_members; i++) {
        const char *member = package->index.members[i].name;
        size_t len = strlen(member);
        if (len > 3 && strcasecmp(member + len - 3, ".mf") == 0 &&
            strncmp(member, package->prefix, prefix) == 0 && member[prefix] != '.' &&
            !strchr(member + prefix, '/'))
            return strdup(member + prefix);
    }
    return NULL;
}

static int
verify_files(const struct package *package, const struct manifest *manifest,
             const struct manifest_watch *watch, struct manifest_result *result, struct err *err)
{
    auto_free unsigned char *block = malloc(BLOCK_BYTES);
    if (!block)
        return err_errno(err, ENOMEM, "the manifest");
    struct verify verify = { .package = package, .watch = watch, .block = block };
    for (size_t i = 0; i < manifest->n_lines; i++) {
        auto_package_file struct package_file file = PACKAGE_FILE_INIT;
        if (package_open_file(package, manifest->lines[i].name, &file, err) < 0)
            return err_prefix(err, "named in the manifest, line %u", manifest->lines[i].line);
        verify.total_bytes += file.bytes;
    }
    for (size_t i = 0; i < manifest->n_lines; i++)
        if (verify_file(&verify, &manifest->lines[i], err) < 0)
            return -1;
    result->n_files = manifest->n_lines;
    result->bytes = verify.done_bytes;
    return 0;
}

static int
verify_file(struct verify *verify, const struct manifest_line *line, struct err *err)
{
    auto_package_file struct package_file file = PACKAGE_FILE_INIT;
    unsigned char digest[MANIFEST_MAX_DIGEST];
    if (package_open_file(verify->package, line->name, &file, err) < 0 ||
        digest_file(verify, &file, line->name, line->kind, digest, err) < 0)
        return -1;
    if (memcmp(digest, line->digest, digests[line->kind].hash->digest_size) == 0)
        return 0;
    char is[32], should[32];
    return err_set(err, ERR_INVALID,
                   "%s is damaged: its %s is %s, the manifest says %s: download or export it again",
                   line->name, digests[line->kind].name, short_hex(digest, is),
                   short_hex(line->digest, should));
}

static int
digest_file(struct verify *verify, const struct package_file *file, const char *name,
            enum manifest_digest kind, unsigned char ret_digest[MANIFEST_MAX_DIGEST],
            struct err *err)
{
    const struct manifest_watch *watch = verify->watch;
    const struct nettle_hash *hash = digests[kind].hash;
    union digest_state state;
    hash->init(&state);
    for (uint64_t at = 0; at < file->bytes;) {
        size_t len = (size_t)MIN(file->bytes - at, BLOCK_BYTES);
        if (watch && watch->cancelled && watch->cancelled(watch->arg))
            return err_set(err, ERR_CANCELLED, "checking %s was cancelled", name);
        if (fd_pread_exact(file->fd, verify->block, len, file->offset + at, name, err) < 0)
            return -1;
        hash->update(&state, len, verify->block);
        at += len;
        verify->done_bytes += len;
        if (watch && watch->progress)
            watch->progress(verify->done_bytes, verify->total_bytes, watch->arg);
    }
#if NETTLE_VERSION_MAJOR >= 4
    hash->digest(&state, ret_digest);
#else
    hash->digest(&state, hash->digest_size, ret_digest);
#endif
    return 0;
}

/* Enough of a digest to compare by eye. */
static const char *
short_hex(const unsigned char *digest, char text[32])
{
    snprintf(text, 32, "%02x%02x%02x%02x%02x%02x...", digest[0], digest[1], digest[2], digest[3],
             digest[4], digest[5]);
    return text;
}

int
manifest_parse(const char *text, size_t len, const char *name, struct manifest *ret_manifest,
               struct err *err)
{
    auto_manifest struct manifest manifest = { 0 };
    manifest.lines = calloc(MANIFEST_MAX_LINES, sizeof *manifest.lines);
    if (!manifest.lines)
        return err_errno(err, ENOMEM, "%s", name);
    const char *end = text + len;
    unsigned number = 0;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *start = text, *stop = newline ? newline : end;
        text = newline ? newline + 1 : end;
        number++;
        while (start < stop && isspace((unsigned char)*start))
            start++;
        while (start < stop && isspace((unsigned char)stop[-1]))
            stop--;
        if (start == stop)
            continue;
        if (manifest.n_lines == MANIFEST_MAX_LINES)
            return err_set(err, ERR_INVALID, "%s: more than %d lines", name, MANIFEST_MAX_LINES);
        struct manifest_line line = { .line = number };
        if (parse_line(start, (size_t)(stop - start), &line, err) < 0)
            return err_prefix(err, "%s: line %u", name, number);
        if (check_repeated(&manifest, line.name, err) < 0) {
            free(line.name);
            return err_prefix(err, "%s: line %u", name, number);
        }
        manifest.lines[manifest.n_lines++] = line;
    }
    if (manifest.n_lines == 0)
        return err_set(err, ERR_INVALID, "%s: no digest in it", name);
    *ret_manifest = manifest;
    manifest = (struct manifest){ 0 };
    return 0;
}

/* "SHA256(name)= hex", with or without space as openssl writes it. The name may itself hold
 * parentheses, so its end is the last one. */
static int
parse_line(const char *text, size_t len, struct manifest_line *line, struct err *err)
{
    const char *end = text + len;
    const char *open = memchr(text, '(', len), *close = memrchr(text, ')', len);
    if (!open || !close || close < open)
        return err_set(err, ERR_INVALID, "not a digest: '%.*s'", (int)MIN(len, (size_t)80), text);
    size_t word = (size_t)(open - text);
    while (word > 0 && text[word - 1] == ' ')
        word--;
    size_t kind = 0;
    while (kind < ARRAY_LEN(digests) &&
           (strlen(digests[kind].name) != word || strncasecmp(text, digests[kind].name, word) != 0))
        kind++;
    if (kind == ARRAY_LEN(digests))
        return err_set(err, ERR_INVALID,
                       "digest algorithm '%.*s' is not known (SHA1, SHA256, SHA512 are)",
                       (int)MIN(word, (size_t)40), text);
    line->kind = (enum manifest_digest)kind;
    const char *hex = close + 1;
    while (hex < end && *hex == ' ')
        hex++;
    if (hex == end || *hex != '=')
        return err_set(err, ERR_INVALID, "not a digest: no '=' after the name");
    do
        hex++;
    while (hex < end && *hex == ' ');
    if (parse_hex(hex, (size_t)(end - hex), line, err) < 0)
        return -1;
    auto_free char *name = strndup(open + 1, (size_t)(close - open) - 1);
    if (!name)
        return err_errno(err, ENOMEM, "a line");
    if (href_check_name(name, err) < 0)
        return -1;
    line->name = TAKE_PTR(name);
    return 0;
}

static int
parse_hex(const char *text, size_t len, struct manifest_line *line, struct err *err)
{
    size_t bytes = digests[line->kind].hash->digest_size;
    if (len != 2 * bytes)
        return err_set(err, ERR_INVALID, "a %s digest has %zu digits, not %zu",
                       digests[line->kind].name, 2 * bytes, len);
    for (size_t i = 0; i < len; i++) {
        int c = tolower((unsigned char)text[i]);
        if (!isxdigit(c))
            return err_set(err, ERR_INVALID, "a digest has only hexadecimal digits");
        unsigned digit = (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        line->digest[i / 2] = (unsigned char)(line->digest[i / 2] << 4 | digit);
    }
    return 0;
}

static int
check_repeated(const struct manifest *manifest, const char *name, struct err *err)
{
    for (size_t i = 0; i < manifest->n_lines; i++)
        if (strcmp(manifest->lines[i].name, name) == 0)
            return err_set(err, ERR_INVALID, "%.200s is there twice", name);
    return 0;
}

void
manifest_free(struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->n_lines; i++)
        free(manifest->lines[i].name);
    free(manifest->lines);
    *manifest = (struct manifest){ 0 };
}
