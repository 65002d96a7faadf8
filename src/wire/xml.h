/* XML from strangers.
 *
 * With xml-writer the only includer of libxml2. It turns one document in memory into a small
 * read-only tree. It is safe by refusing, not by configuring: a DOCTYPE of any kind is an error (no
 * entity bombs, no external entities), nothing is ever fetched, and the caps below hold while
 * parsing, not after. Names are matched by local name; where a vocabulary needs it, look at ns.
 */
#ifndef WIRE_XML_H
#define WIRE_XML_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define XML_MAX_BYTES ((size_t)4 << 20)
#define XML_MAX_DEPTH 64
#define XML_MAX_NODES 100000 /* elements */
#define XML_MAX_ATTRS 64     /* of one element */
#define XML_MAX_NAMESPACES 64

struct xml_attr {
    const char *ns, *name, *value; /* ns: the URI, "" none */
};

/* An element. Comments and processing instructions are dropped; text between child elements is
 * joined. Everything is owned by the document. */
struct xml_node {
    const char *ns;   /* namespace URI, "" none */
    const char *name; /* local name */
    const char *text; /* its own character data, space around it removed; "" none */
    const struct xml_attr *attrs;
    size_t n_attrs;
    unsigned line; /* where it starts, from 1 */
    const struct xml_node *parent, *first_child, *next;
};

struct xml_doc;

/* name is for the error's text. ERR_INVALID, with name and line, for what is not well formed, has a
 * DOCTYPE or passes a cap. */
int xml_parse(const char *data, size_t len, const char *name, struct xml_doc **ret_doc,
              struct err *err);
const struct xml_node *xml_root(const struct xml_doc *doc);
void xml_doc_free(struct xml_doc *doc);

static inline void
xml_doc_cleanup(struct xml_doc **doc)
{
    xml_doc_free(*doc);
}
#define auto_xml_doc AUTO(xml_doc_cleanup)

/* ---- a document that arrives in pieces, and may be long ---- */

/* An element with the name asked for has ended: node is its tree, whose parent is what is kept of
 * the element around it. Good during the call only. Below 0: reading ends with the error that it
 * set. */
typedef int xml_cut_fn(const struct xml_node *node, void *arg, struct err *err);

struct xml_stream_spec {
    const char *name;      /* for the error's text */
    uint64_t max_bytes;    /* of the document */
    size_t max_nodes;      /* elements held at a time, of what is kept and one that is cut out */
    size_t max_held_bytes; /* memory of either of both */
    const char *cut; /* local name: such an element (not the root, and not one inside another) is
                        given to on_cut and then forgotten; NULL: the whole tree is kept */
    xml_cut_fn *on_cut;
    void *arg;
};

struct xml_stream;

int xml_stream_new(const struct xml_stream_spec *spec, struct xml_stream **ret, struct err *err);
/* Errors as of xml_parse; after one nothing more can be fed. */
int xml_stream_feed(struct xml_stream *stream, const void *data, size_t len, struct err *err);
/* The end of the document: what was not cut out. Call it once. */
int xml_stream_end(struct xml_stream *stream, struct xml_doc **ret_doc, struct err *err);
void xml_stream_free(struct xml_stream *stream);

static inline void
xml_stream_cleanup(struct xml_stream **stream)
{
    xml_stream_free(*stream);
}
#define auto_xml_stream AUTO(xml_stream_cleanup)

/* All of these take a NULL node and then find nothing (NULL), so that lookups chain. */

/* First child element, or next sibling, with that local name; NULL name: any. */
const struct xml_node *xml_child(const struct xml_node *node, const char *name);
const struct xml_node *xml_next(const struct xml_node *node, const char *name);

/* "devices/graphics/listen": the first match of each step. */
const struct xml_node *xml_find(const struct xml_node *node, const char *path);

/* Value of the attribute with that local name, in whatever namespace. */
const char *xml_attr(const struct xml_node *node, const char *name);

/* Text of the element at path, NULL when there is no such element. */
const char *xml_text_at(const struct xml_node *node, const char *path);

/* Attribute of the element at path. */
const char *xml_attr_at(const struct xml_node *node, const char *path, const char *name);

#endif
