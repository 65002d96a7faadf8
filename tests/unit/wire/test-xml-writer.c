#include "wire/xml-writer.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"
#include "wire/xml.h"

static void
elements_are_indented_and_closed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf struct buf out = BUF_INIT(4096);
    struct xml_writer writer = XML_WRITER_INIT(&out), *w = &writer;
    xml_open(w, "a");
    xml_put_attr(w, "x", "1");
    xml_put_attr(w, "none", NULL);
    xml_put_attrf(w, "y", "%d-%s", 2, "b");
    xml_put_element(w, "b", "text");
    xml_put_element(w, "none", NULL);
    xml_put_elementf(w, "c", "%u", 7u);
    xml_open(w, "d");
    xml_put_empty(w, "e", "p", "1", "q", "2", NULL);
    xml_put_empty(w, "f", NULL);
    xml_close(w);
    xml_put_element(w, "g", "");
    xml_close(w);
    assert_int_equal(xml_writer_end(w, &err), 0);
    assert_string_equal(out.data, "<a x=\"1\" y=\"2-b\">\n"
                                  "  <b>text</b>\n"
                                  "  <c>7</c>\n"
                                  "  <d>\n"
                                  "    <e p=\"1\" q=\"2\"/>\n"
                                  "    <f/>\n"
                                  "  </d>\n"
                                  "  <g></g>\n"
                                  "</a>\n");
}

/* Whatever is written is read back. */
static void
nasty_values_come_back_as_they_were(void **state)
{
    (void)state;
    static const char *const values[] = {
        "<&>\"'", "]]>", "a\tb\nc\rd", "gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x9a\xa2", "&amp;", "x' y='z",
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct err err = ERR_INIT;
        auto_buf struct buf out = BUF_INIT(4096);
        struct xml_writer writer = XML_WRITER_INIT(&out);
        xml_open(&writer, "a");
        xml_put_attr(&writer, "v", values[i]);
        xml_put_text(&writer, values[i]);
        xml_close(&writer);
        assert_int_equal(xml_writer_end(&writer, &err), 0);
        auto_xml_doc struct xml_doc *doc = NULL;
        assert_int_equal(xml_parse(out.data, out.len, "back", &doc, &err), 0);
        assert_string_equal(xml_attr(xml_root(doc), "v"), values[i]);
        assert_string_equal(xml_root(doc)->text, values[i]);
    }
}

static void
what_xml_cannot_hold_is_an_error(void **state)
{
    (void)state;
    static const char *const values[] = { "\x01",   "\xff",         "\xc3",
                                          "a\xc3(", "\xed\xa0\x80", "\xef\xbf\xbf" };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct err err = ERR_INIT;
        auto_buf struct buf out = BUF_INIT(4096);
        struct xml_writer writer = XML_WRITER_INIT(&out);
        xml_put_element(&writer, "a", values[i]);
        assert_int_equal(xml_writer_end(&writer, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void
misuse_and_a_full_buffer_are_errors(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf struct buf out = BUF_INIT(32);
    struct xml_writer writer = XML_WRITER_INIT(&out);
    xml_open(&writer, "a");
    assert_int_equal(xml_writer_end(&writer, &err), -1);
    assert_int_equal(err.kind, ERR_BUG);

    writer = XML_WRITER_INIT(&out);
    xml_close(&writer);
    assert_int_equal(xml_writer_end(&writer, &err), -1);
    assert_int_equal(err.kind, ERR_BUG);

    writer = XML_WRITER_INIT(&out);
    xml_open(&writer, "a");
    xml_put_text(&writer, "x");
    xml_put_attr(&writer, "late", "1");
    assert_int_equal(xml_writer_end(&writer, &err), -1);
    assert_int_equal(err.kind, ERR_BUG);

    out.len = 0;
    writer = XML_WRITER_INIT(&out);
    for (int i = 0; i < 10; i++)
        xml_put_empty(&writer, "element", NULL);
    assert_int_equal(xml_writer_end(&writer, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_indented_and_closed),
        cmocka_unit_test(nasty_values_come_back_as_they_were),
        cmocka_unit_test(what_xml_cannot_hold_is_an_error),
        cmocka_unit_test(misuse_and_a_full_buffer_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
