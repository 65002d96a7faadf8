/* Texts of one owner, freed together. */
#ifndef VMWARE_TEXTS_H
#define VMWARE_TEXTS_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define TEXTS_MAX_BYTES ((size_t)32 << 20)

struct vmware_texts;

struct vmware_texts *texts_new(struct err *err); /* NULL: no memory */
void texts_free(struct vmware_texts *texts);
static inline void
texts_cleanup(struct vmware_texts **texts)
{
    texts_free(*texts);
}
#define auto_texts AUTO(texts_cleanup)

/* A copy, with control characters turned into spaces; NULL stays NULL. *ret is "" for "". */
int texts_add(struct vmware_texts *texts, const char *text, const char **ret, struct err *err);

/* The same with %2f, %5c and %25 decoded, as names in an inventory are written. */
int texts_add_name(struct vmware_texts *texts, const char *text, const char **ret, struct err *err);

/* Decode such a name in place. */
void name_decode(char *name);

#endif
