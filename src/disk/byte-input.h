/* Bytes in the order in which they come: from a part of a file, from a pipe, from whoever gives
 * them, gzip-ed or not. */
#ifndef DISK_BYTE_INPUT_H
#define DISK_BYTE_INPUT_H

#include <stdatomic.h>

#include "disk/disk.h"

struct byte_input;

/* [offset, offset + bytes) of fd, which is taken over, also on failure. */
int byte_input_file(int fd, uint64_t offset, uint64_t bytes, const char *name, bool gzip,
                    struct byte_input **ret, struct err *err);
/* A pipe or socket, to its end; fd stays the caller's. Reading waits for as long as it takes; when
 * *stop is set it ends with ERR_CANCELLED (NULL: never). */
int byte_input_pipe(int fd, const char *name, bool gzip, const atomic_bool *stop,
                    struct byte_input **ret, struct err *err);
/* From a function that fills exactly len bytes, less only at the end; arg must outlive the input.
 */
struct byte_giver {
    int (*give)(void *arg, void *data, size_t len, size_t *ret_got, struct err *err);
    void *arg;
};
int byte_input_given(const struct byte_giver *giver, const char *name, struct byte_input **ret,
                     struct err *err);
/* A piece of memory (tests, fuzzing); it must outlive the input. */
int byte_input_memory(const void *data, size_t len, struct byte_input **ret, struct err *err);
void byte_input_close(struct byte_input *in);

/* Exactly len bytes. When the input ends before: ERR_INVALID "ends at byte N ...: truncated". */
int byte_input_read(struct byte_input *in, void *data, size_t len, struct err *err);
int byte_input_skip(struct byte_input *in, uint64_t len, struct err *err);

/* 1: the input is at its end; 0: there is more; -1: error. */
int byte_input_at_end(struct byte_input *in, struct err *err);

/* Bytes given out so far (after gzip). */
uint64_t byte_input_position(const struct byte_input *in);
const char *byte_input_name(const struct byte_input *in);
/* False for a pipe or gzip: it can be read only once, or only from the start. */
bool byte_input_is_file(const struct byte_input *in);

#endif
