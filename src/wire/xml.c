#include "wire/xml.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"

/* Theory: libxml2's SAX2 events build our own tree in an arena. libxml2 checks that the document is
 * well formed and knows encodings and namespaces; our handlers hold the caps, and stop the parser
 * at the first thing they refuse. Names of namespaces are interned, since one long URI may be used
 * by a hundred thousand elements. */

#define ARENA_BLOCK_BYTES 65536
#define STREAM_PIECE_BYTES 65536 /* given to libxml2 at once */

struct arena_block {
    struct arena_block *next;
    alignas(max_align_t) char data[];
};

struct arena {
    struct arena_block *blocks;
    char *free; /* in the first block */
    size_t free_bytes;
    size_t taken_bytes;
};

struct xml_doc {
    struct arena arena;
    struct xml_node *root;
};

struct reader {
    xmlParserCtxtPtr ctxt;
    const char *name;
    struct xml_doc *doc;
    struct err *err;
    bool failed;         /* err is set: the first reason counts */
    char complaint[256]; /* libxml2's first, with its line */
    size_t n_nodes, max_nodes;
    size_t max_held_bytes; /* of one arena */

    /* Of a stream: the element being cut out has an arena and a count of its own. */
    const char *cut; /* NULL: nothing is cut out */
    xml_cut_fn *on_cut;
    void *cut_arg;
    size_t cut_depth; /* of the element being cut out, counted as `depth` inside of it; 0: none */
    size_t nodes_before_cut;
    struct arena cut_arena;

    const char *namespaces[XML_MAX_NAMESPACES];
    size_t n_namespaces;

    size_t depth;
    struct xml_node *open[XML_MAX_DEPTH];
    struct xml_node *last_child[XML_MAX_DEPTH];
    struct buf text[XML_MAX_DEPTH];
};

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *ns,
                     int n_ns, const xmlChar **ns_pairs, int n_attrs, int n_default,
                     const xmlChar **attrs);
static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *ns);
static void on_text(void *arg, const xmlChar *text, int len);
static void on_doctype(void *arg, const xmlChar *name, const xmlChar *public_id,
                       const xmlChar *system_id);
#if LIBXML_VERSION >= 21200
static void on_complaint(void *arg, const xmlError *error);
#else
static void on_complaint(void *arg, xmlErrorPtr error);
#endif
static struct xml_node *new_node(struct reader *reader, const char *name, const char *ns);
static int copy_attrs(struct reader *reader, struct xml_node *node, int n_attrs,
                      const xmlChar **attrs);
static const char *intern(struct reader *reader, const char *ns);
static void keep_text(struct reader *reader);
static void cut_end(struct reader *reader);
static void arena_free(struct arena *arena);
static void *arena_take(struct reader *reader, size_t bytes, size_t align);
static char *arena_text(struct reader *reader, const char *text, size_t len);
static void refuse(struct reader *reader, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int finish(struct reader *reader);

static void
context_free(xmlParserCtxtPtr *ctxt)
{
    if (*ctxt)
        xmlFreeParserCtxt(*ctxt);
}

static void
reader_done(struct reader *reader)
{
    for (size_t i = 0; i < XML_MAX_DEPTH; i++)
        buf_free(&reader->text[i]);
    arena_free(&reader->cut_arena);
}

static const xmlSAXHandler handlers = {
    .initialized = XML_SAX2_MAGIC,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .ignorableWhitespace = on_text,
    .cdataBlock = on_text,
    .internalSubset = on_doctype,
    .externalSubset = on_doctype,
    .serror = on_complaint,
};

/* NOENT: otherwise "&amp;" in an attribute reaches us as "&#38;"; with every DOCTYPE refused there
 * are no entities but the five that XML has. */
#define PARSE_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOENT)

int
xml_parse(const char *data, size_t len, const char *name, struct xml_doc **ret_doc, struct err *err)
{
    if (len > XML_MAX_BYTES)
        return err_set(err, ERR_INVALID, "%s: %zu bytes of XML, more than the %zu that are read",
                       name, len, XML_MAX_BYTES);
    xmlInitParser();
    AUTO(context_free) xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
    auto_xml_doc struct xml_doc *doc = calloc(1, sizeof *doc);
    if (!ctxt || !doc)
        return err_errno(err, ENOMEM, "%s", name);
    AUTO(reader_done)
    struct reader reader = { .ctxt = ctxt,
                             .name = name,
                             .doc = doc,
                             .err = err,
                             .max_nodes = XML_MAX_NODES,
                             .max_held_bytes = SIZE_MAX };
    *ctxt->sax = handlers;
    ctxt->userData = &reader;
    /* With handlers of our own it builds no document and returns NULL. */
    xmlCtxtReadMemory(ctxt, len ? data : "", (int)len, NULL, NULL, PARSE_OPTIONS);
    if (finish(&reader) < 0)
        return -1;
    *ret_doc = TAKE_PTR(doc);
    return 0;
}

/* ---- a document that arrives in pieces ---- */

struct xml_stream {
    struct reader reader;
    char *name, *cut;
    uint64_t bytes, max_bytes;
};

int
xml_stream_new(const struct xml_stream_spec *spec, struct xml_stream **ret, struct err *err)
{
    xmlInitParser();
    auto_xml_stream struct xml_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return err_errno(err, ENOMEM, "%s", spec->name);
    xmlSAXHandler sax = handlers;
    struct reader *reader = &stream->reader;
    stream->max_bytes = spec->max_bytes;
    stream->name = strdup(spec->name);
    stream->cut = spec->cut ? strdup(spec->cut) : NULL;
    reader->doc = calloc(1, sizeof *reader->doc);
    reader->ctxt = xmlCreatePushParserCtxt(&sax, reader, NULL, 0, NULL);
    if (!stream->name || (spec->cut && !stream->cut) || !reader->doc || !reader->ctxt)
        return err_errno(err, ENOMEM, "%s", spec->name);
    xmlCtxtUseOptions(reader->ctxt, PARSE_OPTIONS);
    reader->name = stream->name;
    reader->max_nodes = spec->max_nodes;
    reader->max_held_bytes = spec->max_held_bytes;
    reader->cut = stream->cut;
    reader->on_cut = spec->on_cut;
    reader->cut_arg = spec->arg;
    *ret = TAKE_PTR(stream);
    return 0;
}

int
xml_stream_feed(struct xml_stream *stream, const void *data, size_t len, struct err *err)
{
    struct reader *reader = &stream->reader;
    reader->err = err;
    if (reader->failed)
        return err_set(err, ERR_BUG, "%s: read on after an error", stream->name);
    if (len > stream->max_bytes - stream->bytes)
        return err_set(err, ERR_INVALID, "%s: longer than the %" PRIu64 " bytes that are read",
                       stream->name, stream->max_bytes);
    stream->bytes += len;
    for (const char *at = data; len > 0 && !reader->failed;) {
        int piece = (int)MIN(len, (size_t)STREAM_PIECE_BYTES);
        if (xmlParseChunk(reader->ctxt, at, piece, 0) != 0 && !reader->ctxt->wellFormed)
            return finish(reader);
        at += piece;
        len -= (size_t)piece;
    }
    return reader->failed ? -1 : 0;
}

int
xml_stream_end(struct xml_stream *stream, struct xml_doc **ret_doc, struct err *err)
{
    struct reader *reader = &stream->reader;
    reader->err = err;
    if (reader->failed)
        return err_set(err, ERR_BUG, "%s: read on after an error", stream->name);
    xmlParseChunk(reader->ctxt, "", 0, 1);
    if (finish(reader) < 0)
        return -1;
    *ret_doc = TAKE_PTR(reader->doc);
    return 0;
}

void
xml_stream_free(struct xml_stream *stream)
{
    if (!stream)
        return;
    context_free(&stream->reader.ctxt);
    reader_done(&stream->reader);
    xml_doc_free(stream->reader.doc);
    free(stream->name);
    free(stream->cut);
    free(stream);
}

/* ---- what libxml2 says ---- */

static void
on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *ns, int n_ns,
         const xmlChar **ns_pairs, int n_attrs, int n_default, const xmlChar **attrs)
{
    (void)prefix, (void)n_ns, (void)ns_pairs, (void)n_default;
    struct reader *reader = arg;
    if (reader->failed)
        return;
    if (reader->depth == XML_MAX_DEPTH) {
        refuse(reader, ERR_INVALID, "elements nested deeper than %d", XML_MAX_DEPTH);
        return;
    }
    if (reader->n_nodes == reader->max_nodes) {
        refuse(reader, ERR_INVALID, "more than %zu elements", reader->max_nodes);
        return;
    }
    bool is_cut = reader->cut && reader->cut_depth == 0 && reader->depth > 0 &&
                  strcmp((const char *)name, reader->cut) == 0;
    if (is_cut) {
        reader->cut_depth = reader->depth + 1;
        reader->nodes_before_cut = reader->n_nodes;
    }
    struct xml_node *node = new_node(reader, (const char *)name, (const char *)ns);
    if (!node || copy_attrs(reader, node, n_attrs, attrs) < 0)
        return;
    if (reader->depth == 0) {
        reader->doc->root = node;
    } else {
        size_t up = reader->depth - 1;
        node->parent = reader->open[up];
        /* What is cut out does not hang on its parent, which outlives it. */
        if (!is_cut) {
            if (reader->last_child[up])
                reader->last_child[up]->next = node;
            else
                reader->open[up]->first_child = node;
            reader->last_child[up] = node;
        }
    }
    reader->open[reader->depth] = node;
    reader->last_child[reader->depth] = NULL;
    reader->text[reader->depth].max = XML_MAX_BYTES;
    reader->text[reader->depth].len = 0;
    reader->depth++;
}

static struct xml_node *
new_node(struct reader *reader, const char *name, const char *ns)
{
    struct xml_node *node = arena_take(reader, sizeof *node, alignof(struct xml_node));
    const char *own_name = arena_text(reader, name, strlen(name));
    const char *own_ns = intern(reader, ns);
    if (!node || !own_name || !own_ns)
        return NULL;
    *node = (struct xml_node){
        .ns = own_ns,
        .name = own_name,
        .text = "",
        .line = (unsigned)reader->ctxt->input->line,
    };
    reader->n_nodes++;
    return node;
}

/* libxml2 gives five pointers an attribute: name, prefix, URI, start and end of the value. */
static int
copy_attrs(struct reader *reader, struct xml_node *node, int n_attrs, const xmlChar **attrs)
{
    if (n_attrs <= 0)
        return 0;
    if (n_attrs > XML_MAX_ATTRS) {
        refuse(reader, ERR_INVALID, "element %.64s has more than %d attributes", node->name,
               XML_MAX_ATTRS);
        return -1;
    }
    size_t n = (size_t)n_attrs;
    struct xml_attr *own = arena_take(reader, n * sizeof *own, alignof(struct xml_attr));
    if (!own)
        return -1;
    for (size_t i = 0; i < n; i++, attrs += 5) {
        own[i].name = arena_text(reader, (const char *)attrs[0], strlen((const char *)attrs[0]));
        own[i].ns = intern(reader, (const char *)attrs[2]);
        own[i].value = arena_text(reader, (const char *)attrs[3], (size_t)(attrs[4] - attrs[3]));
        if (!own[i].name || !own[i].ns || !own[i].value)
            return -1;
    }
    node->attrs = own;
    node->n_attrs = n;
    return 0;
}

static void
on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *ns)
{
    (void)name, (void)prefix, (void)ns;
    struct reader *reader = arg;
    if (reader->failed || reader->depth == 0)
        return;
    reader->depth--;
    keep_text(reader);
    if (reader->cut_depth == reader->depth + 1)
        cut_end(reader);
}

/* The text of the element that ends, if it has some. */
static void
keep_text(struct reader *reader)
{
    const struct buf *text = &reader->text[reader->depth];
    if (text->len == 0)
        return;
    const char *start = text->data, *end = start + text->len;
    while (start < end && isspace((unsigned char)*start))
        start++;
    while (start < end && isspace((unsigned char)end[-1]))
        end--;
    if (start == end)
        return;
    char *own = arena_text(reader, start, (size_t)(end - start));
    if (own)
        reader->open[reader->depth]->text = own;
}

static void
cut_end(struct reader *reader)
{
    const struct xml_node *node = reader->open[reader->depth];
    if (!reader->failed && reader->on_cut(node, reader->cut_arg, reader->err) < 0) {
        reader->failed = true;
        xmlStopParser(reader->ctxt);
    }
    reader->cut_depth = 0;
    reader->n_nodes = reader->nodes_before_cut;
    arena_free(&reader->cut_arena);
}

static void
on_text(void *arg, const xmlChar *text, int len)
{
    struct reader *reader = arg;
    if (reader->failed || reader->depth == 0)
        return;
    struct err why;
    if (buf_add(&reader->text[reader->depth - 1], text, (size_t)len, &why) < 0)
        refuse(reader, why.kind, "text: %s", why.text);
}

static void
on_doctype(void *arg, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
    (void)name, (void)public_id, (void)system_id;
    refuse(arg, ERR_INVALID,
           "it has a DOCTYPE, which no description of a machine needs and which "
           "could define entities: refused");
}

static void
#if LIBXML_VERSION >= 21200
on_complaint(void *arg, const xmlError *error)
#else
on_complaint(void *arg, xmlErrorPtr error)
#endif
{
    struct reader *reader = arg;
    if (reader->complaint[0] || error->level < XML_ERR_ERROR || !error->message)
        return;
    int len = (int)strcspn(error->message, "\n");
    snprintf(reader->complaint, sizeof reader->complaint, "line %d: %.*s", error->line, len,
             error->message);
}

static int
finish(struct reader *reader)
{
    if (!reader->failed && !reader->ctxt->wellFormed)
        refuse(reader, ERR_INVALID, "not well-formed XML: %s",
               reader->complaint[0] ? reader->complaint : "no reason given");
    if (!reader->failed && !reader->doc->root)
        refuse(reader, ERR_INVALID, "not XML: it has no element");
    return reader->failed ? -1 : 0;
}

static void
refuse(struct reader *reader, enum err_kind kind, const char *fmt, ...)
{
    if (reader->failed)
        return;
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    const xmlParserInput *input = reader->ctxt->input;
    bool has_line = input && strncmp(what, "not ", 4) != 0;
    if (has_line)
        err_set(reader->err, kind, "%s: line %d: %s", reader->name, input->line, what);
    else
        err_set(reader->err, kind, "%s: %s", reader->name, what);
    reader->failed = true;
    xmlStopParser(reader->ctxt);
}

static const char *
intern(struct reader *reader, const char *ns)
{
    if (!ns)
        return "";
    for (size_t i = 0; i < reader->n_namespaces; i++)
        if (strcmp(reader->namespaces[i], ns) == 0)
            return reader->namespaces[i];
    if (reader->n_namespaces == XML_MAX_NAMESPACES) {
        refuse(reader, ERR_INVALID, "more than %d namespaces", XML_MAX_NAMESPACES);
        return NULL;
    }
    /* It outlives what is cut out. */
    size_t cut_depth = reader->cut_depth;
    reader->cut_depth = 0;
    char *own = arena_text(reader, ns, strlen(ns));
    reader->cut_depth = cut_depth;
    if (own)
        reader->namespaces[reader->n_namespaces++] = own;
    return own;
}

static void *
arena_take(struct reader *reader, size_t bytes, size_t align)
{
    struct arena *arena = reader->cut_depth ? &reader->cut_arena : &reader->doc->arena;
    if (bytes > reader->max_held_bytes || arena->taken_bytes > reader->max_held_bytes - bytes) {
        refuse(reader, ERR_INVALID, "more than %zu bytes to hold at once", reader->max_held_bytes);
        return NULL;
    }
    size_t skip = arena->free ? (size_t)(-(uintptr_t)arena->free & (align - 1)) : 0;
    if (!arena->free || bytes + skip > arena->free_bytes) {
        size_t size = MAX(bytes, (size_t)ARENA_BLOCK_BYTES);
        struct arena_block *block = malloc(sizeof *block + size);
        if (!block) {
            refuse(reader, ERR_UNAVAILABLE, "no memory");
            return NULL;
        }
        block->next = arena->blocks;
        arena->blocks = block;
        arena->free = block->data;
        arena->free_bytes = size;
        skip = 0;
    }
    char *taken = arena->free + skip;
    arena->free += skip + bytes;
    arena->free_bytes -= skip + bytes;
    arena->taken_bytes += skip + bytes;
    return taken;
}

static void
arena_free(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    *arena = (struct arena){ 0 };
}

static char *
arena_text(struct reader *reader, const char *text, size_t len)
{
    char *own = arena_take(reader, len + 1, 1);
    if (!own)
        return NULL;
    memcpy(own, text, len);
    own[len] = '\0';
    return own;
}

void
xml_doc_free(struct xml_doc *doc)
{
    if (!doc)
        return;
    arena_free(&doc->arena);
    free(doc);
}

const struct xml_node *
xml_root(const struct xml_doc *doc)
{
    return doc->root;
}

static const struct xml_node *
first_named(const struct xml_node *node, const char *name, size_t len)
{
    for (; node; node = node->next)
        if (!name || (strncmp(node->name, name, len) == 0 && node->name[len] == '\0'))
            return node;
    return NULL;
}

const struct xml_node *
xml_child(const struct xml_node *node, const char *name)
{
    return node ? first_named(node->first_child, name, name ? strlen(name) : 0) : NULL;
}

const struct xml_node *
xml_next(const struct xml_node *node, const char *name)
{
    return node ? first_named(node->next, name, name ? strlen(name) : 0) : NULL;
}

const struct xml_node *
xml_find(const struct xml_node *node, const char *path)
{
    while (node && *path) {
        size_t len = strcspn(path, "/");
        node = first_named(node->first_child, path, len);
        path += len + (path[len] == '/');
    }
    return node;
}

const char *
xml_attr(const struct xml_node *node, const char *name)
{
    for (size_t i = 0; node && i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            return node->attrs[i].value;
    return NULL;
}

const char *
xml_text_at(const struct xml_node *node, const char *path)
{
    node = xml_find(node, path);
    return node ? node->text : NULL;
}

const char *
xml_attr_at(const struct xml_node *node, const char *path, const char *name)
{
    return xml_attr(xml_find(node, path), name);
}
