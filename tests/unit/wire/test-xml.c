#include "wire/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/checked.h"

static struct xml_doc *
parse(const char *text)
{
    struct err err = ERR_INIT;
    struct xml_doc *doc = NULL;
    if (xml_parse(text, strlen(text), "test", &doc, &err) < 0)
        fail_msg("%s", err.text);
    return doc;
}

static void
assert_refused(const char *text, size_t len, const char *part)
{
    struct err err = ERR_INIT;
    struct xml_doc *doc = NULL;
    assert_int_equal(xml_parse(text, len, "test.xml", &doc, &err), -1);
    assert_null(doc);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_memory_equal(err.text, "test.xml: ", 10);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

static void
a_tree_is_what_was_written(void **state)
{
    (void)state;
    auto_xml_doc struct xml_doc *doc = parse(
        "<?xml version='1.0'?>\n<!-- c --><a xmlns='urn:one' xmlns:p='urn:two' x='1' p:y='2'>\n"
        " <b>text &lt;&amp;&#65;<![CDATA[<raw>]]></b>\n <p:b z=''>two</p:b><c/> tail </a>");
    const struct xml_node *a = xml_root(doc);
    assert_string_equal(a->name, "a");
    assert_string_equal(a->ns, "urn:one");
    assert_null(a->parent);
    assert_int_equal(a->line, 2);
    assert_string_equal(a->text, "tail");
    assert_int_equal(a->n_attrs, 2);
    assert_string_equal(xml_attr(a, "x"), "1");
    assert_string_equal(xml_attr(a, "y"), "2");
    assert_string_equal(a->attrs[1].ns, "urn:two");
    assert_string_equal(a->attrs[0].ns, "");
    assert_null(xml_attr(a, "z"));

    const struct xml_node *b = xml_child(a, "b");
    assert_string_equal(b->text, "text <&A<raw>");
    assert_string_equal(b->ns, "urn:one");
    assert_int_equal(b->line, 3);
    assert_ptr_equal(b->parent, a);
    const struct xml_node *b2 = xml_next(b, "b");
    assert_string_equal(b2->ns, "urn:two");
    assert_string_equal(xml_attr(b2, "z"), "");
    assert_null(xml_next(b2, "b"));
    assert_string_equal(xml_next(b2, NULL)->name, "c");
    assert_string_equal(xml_child(a, "c")->text, "");
}

static void
lookups_chain_over_what_is_not_there(void **state)
{
    (void)state;
    auto_xml_doc struct xml_doc *doc =
        parse("<d><devices><disk n='1'/><disk n='2'><target dev='sda'>x</target></disk></devices>"
              "<devicesx/></d>");
    const struct xml_node *d = xml_root(doc);
    assert_string_equal(xml_attr_at(d, "devices/disk", "n"), "1");
    assert_null(xml_find(d, "devices/disk/target"));
    assert_null(xml_find(d, "device"));
    assert_null(xml_text_at(d, "devices/nic/mac"));
    assert_string_equal(xml_text_at(xml_next(xml_find(d, "devices/disk"), "disk"), "target"), "x");
    assert_ptr_equal(xml_find(d, ""), d);
    assert_null(xml_child(NULL, "x"));
    assert_null(xml_next(NULL, NULL));
    assert_null(xml_find(NULL, "a/b"));
    assert_null(xml_attr(NULL, "x"));
}

static void
a_doctype_is_refused_whatever_is_in_it(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/x.dtd'><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]><a/>",
        "<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
        "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;'>"
        "<!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;&d;'>]><l>&e;&e;&e;&e;&e;</l>",
        "<!DOCTYPE a [<!ATTLIST a x CDATA 'default'>]><a/>",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_refused(bad[i], strlen(bad[i]), "DOCTYPE");
}

static void
what_is_not_well_formed_is_refused_with_its_line(void **state)
{
    (void)state;
    assert_refused("", 0, "not well-formed");
    assert_refused("   ", 3, "not well-formed");
    assert_refused("hello", 5, "not well-formed");
    assert_refused("<a>\n<b>\n</a>", 12, "line 3");
    assert_refused("<a/><b/>", 8, "not well-formed");
    assert_refused("<a>&undefined;</a>", 18, "not well-formed");
    assert_refused("<a x='1' x='2'/>", 16, "not well-formed");
    assert_refused("<a>\0</a>", 8, "not well-formed");
    assert_refused("<a>\x01</a>", 8, "not well-formed");
    assert_refused("<a>\xff\xfe</a>", 9, "not well-formed");
    assert_refused("<a><b></b>", 10, "not well-formed");
    assert_refused("<?xml version='1.0' encoding='no-such'?><a/>", 44, "not well-formed");
}

static void
other_encodings_become_utf8(void **state)
{
    (void)state;
    auto_xml_doc struct xml_doc *doc =
        parse("<?xml version='1.0' encoding='windows-1252'?><a>Gr\xfc\xdf \x80</a>");
    assert_string_equal(xml_root(doc)->text, "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
}

static void
repeat(struct buf *buf, const char *text, size_t n)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_add_str(buf, text, &err), 0);
}

static void
the_caps_hold(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct xml_doc *doc = NULL;

    auto_buf struct buf deep = BUF_INIT(MIB);
    repeat(&deep, "<a>", XML_MAX_DEPTH);
    repeat(&deep, "</a>", XML_MAX_DEPTH);
    assert_int_equal(xml_parse(deep.data, deep.len, "t", &doc, &err), 0);
    xml_doc_free(doc);
    deep.len = 0;
    repeat(&deep, "<a>", XML_MAX_DEPTH + 1);
    repeat(&deep, "</a>", XML_MAX_DEPTH + 1);
    assert_refused(deep.data, deep.len, "nested deeper");

    auto_buf struct buf wide = BUF_INIT(XML_MAX_BYTES);
    repeat(&wide, "<r>", 1);
    repeat(&wide, "<a/>", XML_MAX_NODES);
    repeat(&wide, "</r>", 1);
    assert_refused(wide.data, wide.len, "more than 100000 elements");

    auto_buf struct buf attrs = BUF_INIT(MIB);
    repeat(&attrs, "<r ", 1);
    for (int i = 0; i <= XML_MAX_ATTRS; i++)
        assert_int_equal(buf_printf(&attrs, &err, "a%d='x' ", i), 0);
    repeat(&attrs, "/>", 1);
    assert_refused(attrs.data, attrs.len, "attributes");

    auto_buf struct buf names = BUF_INIT(MIB);
    repeat(&names, "<r>", 1);
    for (int i = 0; i <= XML_MAX_NAMESPACES; i++)
        assert_int_equal(buf_printf(&names, &err, "<a xmlns='urn:%d'/>", i), 0);
    repeat(&names, "</r>", 1);
    assert_refused(names.data, names.len, "namespaces");

    auto_free char *big = calloc(1, XML_MAX_BYTES + 1);
    assert_refused(big, XML_MAX_BYTES + 1, "bytes of XML");
}

/* One long namespace and many elements must not multiply. */
static void
a_long_namespace_is_kept_once(void **state)
{
    (void)state;
    auto_buf struct buf text = BUF_INIT(XML_MAX_BYTES);
    repeat(&text, "<r xmlns='urn:", 1);
    repeat(&text, "0123456789", 10000);
    repeat(&text, "'>", 1);
    repeat(&text, "<a/>", 20000);
    repeat(&text, "</r>", 1);
    auto_xml_doc struct xml_doc *doc = parse(text.data);
    const struct xml_node *first = xml_child(xml_root(doc), "a");
    assert_ptr_equal(first->ns, xml_root(doc)->ns);
    assert_ptr_equal(xml_next(first, "a")->ns, first->ns);
}

/* ---- in pieces ---- */

struct pieces {
    size_t n;
    char texts[8][64]; /* of each element that was cut out: its name, child texts, its parent */
    int fail_at;       /* 1: the first; 0: none */
};

static int
note_cut(const struct xml_node *node, void *arg, struct err *err)
{
    struct pieces *pieces = arg;
    assert_true(pieces->n < ARRAY_LEN(pieces->texts));
    char *text = pieces->texts[pieces->n++];
    size_t len = (size_t)snprintf(text, sizeof pieces->texts[0], "%s(", node->name);
    for (const struct xml_node *child = node->first_child; child; child = child->next)
        len += (size_t)snprintf(text + len, sizeof pieces->texts[0] - len, "%s%s", child->text,
                                child->next ? "," : "");
    snprintf(text + len, sizeof pieces->texts[0] - len, ")<%s", node->parent->name);
    if ((int)pieces->n == pieces->fail_at)
        return err_set(err, ERR_CONFLICT, "enough");
    return 0;
}

static int
stream(const char *text, size_t piece_bytes, struct pieces *pieces, struct xml_doc **ret,
       struct err *err)
{
    auto_xml_stream struct xml_stream *stream = NULL;
    struct xml_stream_spec spec = { .name = "test.xml",
                                    .max_bytes = 4000,
                                    .max_nodes = 20,
                                    .max_held_bytes = 2048,
                                    .cut = "item",
                                    .on_cut = note_cut,
                                    .arg = pieces };
    assert_int_equal(xml_stream_new(&spec, &stream, err), 0);
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at += piece_bytes)
        if (xml_stream_feed(stream, text + at, MIN(len - at, piece_bytes), err) < 0)
            return -1;
    return xml_stream_end(stream, ret, err);
}

static void
pieces_are_cut_out_of_a_stream(void **state)
{
    (void)state;
    static const char text[] =
        "<?xml version='1.0'?><a xmlns='urn:x'><before>1</before><list><item><n>one</n><n>&lt;"
        "</n></item> <kept>k</kept><item><item><n>deep</n></item><n>two</n></item><item/>"
        "<last>l</last></list><after>2</after></a>";
    for (size_t piece = 1; piece < sizeof text; piece += piece < 20 ? 1 : 37) {
        auto_xml_doc struct xml_doc *doc = NULL;
        struct pieces pieces = { 0 };
        struct err err = ERR_INIT;
        if (stream(text, piece, &pieces, &doc, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(pieces.n, 3);
        assert_string_equal(pieces.texts[0], "item(one,<)<list");
        assert_string_equal(pieces.texts[1], "item(,two)<list");
        assert_string_equal(pieces.texts[2], "item()<list");
        const struct xml_node *list = xml_find(xml_root(doc), "list");
        assert_string_equal(xml_text_at(list, "kept"), "k");
        assert_string_equal(xml_text_at(list, "last"), "l");
        assert_null(xml_find(list, "item"));
        assert_string_equal(xml_text_at(xml_root(doc), "after"), "2");
        assert_string_equal(xml_root(doc)->ns, "urn:x");
    }
}

static void
a_callback_ends_a_stream(void **state)
{
    (void)state;
    struct xml_doc *doc = NULL;
    struct pieces pieces = { .fail_at = 2 };
    struct err err = ERR_INIT;
    assert_int_equal(stream("<a><item/><item/><item/></a>", 100, &pieces, &doc, &err), -1);
    assert_null(doc);
    assert_int_equal(pieces.n, 2);
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_string_equal(err.text, "enough");
}

static void
assert_stream_refused(const char *text, const char *part)
{
    struct xml_doc *doc = NULL;
    struct pieces pieces = { 0 };
    struct err err = ERR_INIT;
    assert_int_equal(stream(text, 7, &pieces, &doc, &err), -1);
    assert_null(doc);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

static void
the_caps_of_a_stream_hold(void **state)
{
    (void)state;
    auto_buf struct buf buf = BUF_INIT(16384);
    struct err err = ERR_INIT;
    assert_stream_refused("<!DOCTYPE a><a/>", "DOCTYPE");
    assert_stream_refused("<a><item>", "not well-formed");
    assert_stream_refused("", "not");
    /* Many pieces are fine, each alone is counted. */
    assert_int_equal(buf_add_str(&buf, "<a><item>", &err), 0);
    for (int i = 0; i < 25; i++)
        assert_int_equal(buf_add_str(&buf, "<b/>", &err), 0);
    assert_stream_refused(buf.data, "more than 20 elements");
    buf.len = 0;
    assert_int_equal(buf_add_str(&buf, "<a><item><b>", &err), 0);
    for (int i = 0; i < 3900; i++)
        assert_int_equal(buf_add_str(&buf, "x", &err), 0);
    assert_int_equal(buf_add_str(&buf, "</b></item>", &err), 0);
    assert_stream_refused(buf.data, "bytes to hold at once");
    buf.len = 0;
    assert_int_equal(buf_add_str(&buf, "<a>", &err), 0);
    while (buf.len < 5000)
        assert_int_equal(buf_add_str(&buf, "<?p i?>", &err), 0);
    assert_stream_refused(buf.data, "longer than the 4000 bytes");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_is_what_was_written),
        cmocka_unit_test(lookups_chain_over_what_is_not_there),
        cmocka_unit_test(a_doctype_is_refused_whatever_is_in_it),
        cmocka_unit_test(what_is_not_well_formed_is_refused_with_its_line),
        cmocka_unit_test(other_encodings_become_utf8),
        cmocka_unit_test(the_caps_hold),
        cmocka_unit_test(a_long_namespace_is_kept_once),
        cmocka_unit_test(pieces_are_cut_out_of_a_stream),
        cmocka_unit_test(a_callback_ends_a_stream),
        cmocka_unit_test(the_caps_of_a_stream_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
