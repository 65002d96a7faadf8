/* YAML, read into a tree that remembers line numbers. JSON is YAML, so this reads both.
 *
 * What a spec or a config needs, and no more: one document, maps with texts as keys, lists and
 * scalars. Refused with ERR_INVALID, "NAME:LINE: ...": anchors and aliases (a few bytes of them
 * make gigabytes), tags other than the core schema's, the same key twice, a NUL in a text, bytes
 * that are no UTF-8 or UTF-16 with its mark, and whatever passes the limits below.
 */
#ifndef MODEL_YAML_H
#define MODEL_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define YAML_MAX_BYTES ((size_t)1 << 20) /* of the text */
#define YAML_MAX_DEPTH 16                /* lists and maps in one another */
#define YAML_MAX_NODES 20000             /* keys are counted, too */

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    unsigned line; /* from 1; of an entry of a map, its key's */
    char *key;     /* of an entry of a map, else NULL */
    char *text;    /* YAML_TEXT: UTF-8, as it was written, without quotes and escapes */
    bool plain;    /* YAML_TEXT: not quoted, so that `true` is a boolean and `~` nothing */
    size_t n;      /* YAML_LIST, YAML_MAP: how many entries, ... */
    struct yaml_node *first; /* ... and they themselves, in their order */
    struct yaml_node *next;
};

/* len bytes of text; name is for errors, the file's. The caller frees the tree. An empty text
 * (nothing, or comments alone) is a plain YAML_TEXT "". */
int yaml_tree_read(const char *text, size_t len, const char *name, struct yaml_node **ret,
                   struct err *err);

/* The entry of a map with that key; NULL when there is none, or when it is no map. */
struct yaml_node *yaml_tree_get(const struct yaml_node *map, const char *key);

/* It was written as nothing: `key:` with no value, `~` or `null`. */
bool yaml_node_is_null(const struct yaml_node *node);

/* All texts are wiped, because some are passwords. NULL is fine. */
void yaml_tree_free(struct yaml_node *root);
void yaml_tree_cleanup(struct yaml_node **root);
#define auto_yaml AUTO(yaml_tree_cleanup)

#endif
