/* XML of our own: escaped, indented by two spaces, and well formed or an error.
 *
 * Errors are kept and reported once by xml_writer_end; calls after an error do
 * nothing. Element and attribute names are literals of ours; what XML cannot hold in a value
 * (control characters, bytes that are not UTF-8) is ERR_INVALID. An element holds text or elements,
 * not both.
 */
#ifndef WIRE_XML_WRITER_H
#define WIRE_XML_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define XML_WRITER_MAX_DEPTH 64

struct xml_writer {
    struct buf *out;
    struct err err;
    const char *open[XML_WRITER_MAX_DEPTH]; /* names of the elements that are open */
    size_t depth;
    bool in_tag;   /* "<name attr=..." not closed yet */
    bool has_text; /* the open element holds text: no line break before its end */
};

#define XML_WRITER_INIT(out_buf) ((struct xml_writer){ .out = (out_buf) })

void xml_open(struct xml_writer *writer, const char *name);
void xml_close(struct xml_writer *writer);

/* For the element just opened, before anything is put in it. A NULL value writes nothing. */
void xml_put_attr(struct xml_writer *writer, const char *name, const char *value);
void xml_put_attrf(struct xml_writer *writer, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void xml_put_text(struct xml_writer *writer, const char *text);

/* <name>text</name>; a NULL text writes nothing. */
void xml_put_element(struct xml_writer *writer, const char *name, const char *text);
void xml_put_elementf(struct xml_writer *writer, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* <name a="1" b="2"/> from pairs of attribute and value, ended by NULL. */
void xml_put_empty(struct xml_writer *writer, const char *name, ...) __attribute__((sentinel));

/* The first error, or ERR_BUG when elements are still open. */
int xml_writer_end(struct xml_writer *writer, struct err *err);

#endif
