#include "wire/xml-writer.h"

#include <libxml/chvalid.h>
#include <libxml/parserInternals.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define WRITER_MAX_FORMATTED 1024

static bool
writer_ok(const struct xml_writer *writer)
{
    return writer->err.kind == ERR_NONE;
}

static void
write_raw(struct xml_writer *writer, const char *text)
{
    if (writer_ok(writer))
        buf_add_str(writer->out, text, &writer->err);
}

static void
write_indent(struct xml_writer *writer)
{
    for (size_t i = 0; i < writer->depth; i++)
        write_raw(writer, "  ");
}

static const char *
escape_of(int c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return NULL;
    }
}

static void
write_escaped(struct xml_writer *writer, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t left = strlen(text);
    while (left > 0 && writer_ok(writer)) {
        int len = (int)MIN(left, (size_t)4);
        int c = xmlGetUTF8Char(at, &len);
        if (c < 0 || !IS_CHAR(c)) {
            err_set(&writer->err, ERR_INVALID, "'%.200s' has a character that XML cannot hold",
                    text);
            return;
        }
        const char *escape = escape_of(c);
        if (escape)
            write_raw(writer, escape);
        else
            buf_add(writer->out, at, (size_t)len, &writer->err);
        at += len;
        left -= (size_t)len;
    }
}

void
xml_open(struct xml_writer *writer, const char *name)
{
    if (!writer_ok(writer))
        return;
    if (writer->depth == XML_WRITER_MAX_DEPTH || writer->has_text) {
        err_set(&writer->err, ERR_BUG, "XML: element %s where none can be", name);
        return;
    }
    if (writer->in_tag)
        write_raw(writer, ">\n");
    write_indent(writer);
    write_raw(writer, "<");
    write_raw(writer, name);
    writer->open[writer->depth++] = name;
    writer->in_tag = true;
}

void
xml_close(struct xml_writer *writer)
{
    if (!writer_ok(writer))
        return;
    if (writer->depth == 0) {
        err_set(&writer->err, ERR_BUG, "XML: nothing to close");
        return;
    }
    const char *name = writer->open[--writer->depth];
    if (writer->in_tag) {
        write_raw(writer, "/>\n");
    } else {
        if (!writer->has_text)
            write_indent(writer);
        write_raw(writer, "</");
        write_raw(writer, name);
        write_raw(writer, ">\n");
    }
    writer->in_tag = writer->has_text = false;
}

void
xml_put_attr(struct xml_writer *writer, const char *name, const char *value)
{
    if (!value || !writer_ok(writer))
        return;
    if (!writer->in_tag) {
        err_set(&writer->err, ERR_BUG, "XML: attribute %s outside a tag", name);
        return;
    }
    write_raw(writer, " ");
    write_raw(writer, name);
    write_raw(writer, "=\"");
    write_escaped(writer, value);
    write_raw(writer, "\"");
}

void
xml_put_text(struct xml_writer *writer, const char *text)
{
    if (!writer_ok(writer))
        return;
    if (!writer->in_tag && !writer->has_text) {
        err_set(&writer->err, ERR_BUG, "XML: text beside elements");
        return;
    }
    if (writer->in_tag)
        write_raw(writer, ">");
    writer->in_tag = false;
    writer->has_text = true;
    write_escaped(writer, text);
}

void
xml_put_attrf(struct xml_writer *writer, const char *name, const char *fmt, ...)
{
    char value[WRITER_MAX_FORMATTED];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(value, sizeof value, fmt, args);
    va_end(args);
    if (writer_ok(writer) && (len < 0 || (size_t)len >= sizeof value))
        err_set(&writer->err, ERR_BUG, "XML: attribute %s is too long", name);
    xml_put_attr(writer, name, value);
}

void
xml_put_element(struct xml_writer *writer, const char *name, const char *text)
{
    if (!text)
        return;
    xml_open(writer, name);
    xml_put_text(writer, text);
    xml_close(writer);
}

void
xml_put_elementf(struct xml_writer *writer, const char *name, const char *fmt, ...)
{
    char text[WRITER_MAX_FORMATTED];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (writer_ok(writer) && (len < 0 || (size_t)len >= sizeof text))
        err_set(&writer->err, ERR_BUG, "XML: element %s is too long", name);
    xml_put_element(writer, name, text);
}

void
xml_put_empty(struct xml_writer *writer, const char *name, ...)
{
    xml_open(writer, name);
    va_list args;
    va_start(args, name);
    const char *attr;
    while ((attr = va_arg(args, const char *)))
        xml_put_attr(writer, attr, va_arg(args, const char *));
    va_end(args);
    xml_close(writer);
}

int
xml_writer_end(struct xml_writer *writer, struct err *err)
{
    if (writer_ok(writer) && writer->depth > 0)
        err_set(&writer->err, ERR_BUG, "XML: element %s is not closed",
                writer->open[writer->depth - 1]);
    if (writer_ok(writer))
        return 0;
    *err = writer->err;
    return -1;
}
