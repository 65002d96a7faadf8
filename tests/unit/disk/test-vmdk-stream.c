#include "disk/vmdk-stream.h"

#include "vmdk-writer.h"

static void
refuse_header(size_t at, uint64_t value, size_t len, const char *words)
{
    struct err err = ERR_INIT;
    struct vmdk_header header;
    uint8_t sector[VMDK_SECTOR];
    writer_header(sector, 2048, 128);
    set_at(sector, at, value, len);
    assert_fails(vmdk_header_parse(sector, "disk", &header, &err), ERR_INVALID, words);
}

static void
test_header_is_taken_apart(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct vmdk_header header;
    uint8_t sector[VMDK_SECTOR];
    writer_header(sector, 2049, 128);
    assert_true(vmdk_is_stream(sector));
    assert_ok(vmdk_header_parse(sector, "disk", &header, &err));
    assert_int_equal(header.capacity_bytes, 2049 * 512);
    assert_int_equal(header.grain_bytes, 65536);
    assert_int_equal(header.overhead_bytes, 3 * 512);
    assert_int_equal(header.descriptor_offset, 512);
    assert_int_equal(header.descriptor_bytes, 1024);
    assert_true(header.has_footer);
    set_at(sector, 56, 2, 8);
    assert_ok(vmdk_header_parse(sector, "disk", &header, &err));
    assert_false(header.has_footer);
    assert_int_equal(header.directory_offset, 1024);
    set_at(sector, 28, 0, 8); /* no descriptor */
    assert_ok(vmdk_header_parse(sector, "disk", &header, &err));
    assert_int_equal(header.descriptor_bytes, 0);
    for (uint32_t version = 1; version <= 3; version++) {
        set_at(sector, 4, version, 4);
        assert_ok(vmdk_header_parse(sector, "disk", &header, &err));
    }
    for (uint64_t grain = 8; grain <= 2048; grain *= 2) {
        set_at(sector, 20, grain, 8);
        assert_ok(vmdk_header_parse(sector, "disk", &header, &err));
    }
}

static void
test_header_that_lies_is_refused(void **state)
{
    (void)state;
    refuse_header(0, 0x12345678, 4, "does not begin with KDMV");
    refuse_header(8, 1, 4, "not streamOptimized");
    refuse_header(8, 1 << 16, 4, "not streamOptimized");
    refuse_header(4, 0, 4, "version 0");
    refuse_header(4, 4, 4, "version 4");
    refuse_header(73, '\r', 1, "text mode");
    refuse_header(75, '\n', 1, "text mode");
    refuse_header(77, 0, 2, "compression 0");
    refuse_header(77, 2, 2, "compression 2");
    refuse_header(12, 0, 8, "claims a disk of 0");
    refuse_header(12, UINT64_MAX, 8, "claims a disk");
    refuse_header(12, DISK_MAX_BYTES / 512 + 1, 8, "claims a disk");
    refuse_header(12, UINT64_C(1) << 55, 8, "claims a disk");
    refuse_header(20, 0, 8, "grains of 0");
    refuse_header(20, 4, 8, "grains of 4");
    refuse_header(20, 24, 8, "grains of 24");
    refuse_header(20, 4096, 8, "grains of 4096");
    refuse_header(20, UINT64_C(1) << 63, 8, "grains of");
    refuse_header(28, 4, 8, "overlap");
    refuse_header(28, UINT64_MAX, 8, "overlap");
    refuse_header(36, 3, 8, "overlap");
    refuse_header(36, UINT64_MAX, 8, "overlap");
    refuse_header(64, 0, 8, "overlap");
    refuse_header(64, UINT64_MAX, 8, "overlap");
}

static int
begin(const struct writer *w, size_t len, struct byte_input **ret, struct vmdk_header *header,
      struct err *err)
{
    assert_int_equal(byte_input_memory(w->data, len, ret, err), 0);
    return vmdk_stream_begin(*ret, header, err);
}

static void
refuse_descriptor(const char *text, const char *words)
{
    struct err err = ERR_INIT;
    struct vmdk_header header;
    struct byte_input *in;
    struct writer w = writer_begin(2048, 128, text);
    assert_fails(begin(&w, w.len, &in, &header, &err), ERR_INVALID, words);
    byte_input_close(in);
    free(w.data);
}

static void
test_descriptor_is_compared(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "# Disk DescriptorFile\nparentCID=ffffffff\nRW 2048 SPARSE \"x\"\n",
        "parentCID=FFFFFFFF\nRDONLY 2048 SPARSE \"x\"",
        "something else altogether",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err err = ERR_INIT;
        struct vmdk_header header;
        struct byte_input *in;
        struct writer w = writer_begin(2048, 128, good[i]);
        assert_ok(begin(&w, w.len, &in, &header, &err));
        assert_int_equal(byte_input_position(in), 3 * 512);
        byte_input_close(in);
        free(w.data);
    }
    refuse_descriptor("RW 2047 SPARSE \"x\"\n", "descriptor 2047");
    refuse_descriptor("a=b\nRDONLY 99999999999999999999 SPARSE \"x\"\n", "contradicts itself");
    refuse_descriptor("RW 36028797018966016 SPARSE \"x\"\n",
                      "contradicts itself"); /* * 512 wraps */
    refuse_descriptor("RW -1 SPARSE \"x\"\n", "contradicts itself");
    refuse_descriptor("x\nparentCID=12345678\n", "parent is 12345678");
}

static void
test_start_that_is_cut_off(void **state)
{
    (void)state;
    struct writer w = writer_begin(2048, 128, "");
    for (size_t len = 0; len < 3 * 512; len += 100) {
        struct err err = ERR_INIT;
        struct vmdk_header header;
        struct byte_input *in;
        assert_fails(begin(&w, len, &in, &header, &err), ERR_INVALID, "truncated");
        byte_input_close(in);
    }
    free(w.data);
}

/* Read the first block behind the start; its error, if any, holds the words. */
static struct vmdk_block
first_block(struct writer *w, size_t cut, const char *words)
{
    struct err err = ERR_INIT;
    struct vmdk_header header;
    struct vmdk_block block = { 0 };
    struct byte_input *in;
    assert_ok(begin(w, w->len - cut, &in, &header, &err));
    if (words)
        assert_fails(vmdk_block_read(in, &header, &block, &err), ERR_INVALID, words);
    else
        assert_ok(vmdk_block_read(in, &header, &block, &err));
    byte_input_close(in);
    free(w->data);
    return block;
}

static void
test_blocks_are_told_apart(void **state)
{
    (void)state;
    uint8_t data[65536] = "grain";
    struct writer w = writer_begin(2048, 128, "");
    writer_grain(&w, 1920, data, sizeof data);
    struct vmdk_block block = first_block(&w, 0, NULL);
    assert_int_equal(block.kind, VMDK_GRAIN);
    assert_int_equal(block.offset, 1920 * 512);

    static const struct {
        uint32_t type, sectors;
        enum vmdk_block_kind kind;
    } markers[] = {
        { 0, 0, VMDK_END },    { 1, 4, VMDK_METADATA }, { 2, 1000, VMDK_METADATA },
        { 3, 1, VMDK_FOOTER }, { 4, 0, VMDK_METADATA },
    };
    for (size_t i = 0; i < ARRAY_LEN(markers); i++) {
        w = writer_begin(2048, 128, "");
        writer_marker(&w, markers[i].sectors, markers[i].type);
        block = first_block(&w, 0, NULL);
        assert_int_equal(block.kind, markers[i].kind);
        if (block.kind == VMDK_METADATA)
            assert_int_equal(block.skip_bytes, markers[i].sectors * 512);
    }
    w = writer_begin(2048, 128, "");
    block = first_block(&w, 0, NULL);
    assert_int_equal(block.kind, VMDK_CUT);
}

static void
test_blocks_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t lba;
        uint32_t len;
        const char *words;
    } grains[] = {
        { 2048, 100, "sector 2048 of 2048" }, { 64, 100, "sector 64" },
        { UINT64_MAX, 100, "sector" },        { UINT64_C(1) << 55, 100, "sector" },
        { 0, 131073, "131073 compressed" },   { 0, UINT32_MAX, "compressed" },
    };
    for (size_t i = 0; i < ARRAY_LEN(grains); i++) {
        struct writer w = writer_begin(2048, 128, "");
        uint8_t head[12];
        set_at(head, 0, grains[i].lba, 8);
        set_at(head, 8, grains[i].len, 4);
        writer_add(&w, head, sizeof head);
        first_block(&w, 0, grains[i].words);
    }
    static const struct {
        uint64_t sectors;
        uint32_t type;
        const char *words;
    } markers[] = {
        { 0, 5, "marker 5" },
        { 1, UINT32_MAX, "marker" },
        { VMDK_METADATA_SECTORS_MAX + 1, 1, "marker 1" },
        { UINT64_MAX, 2, "marker 2" },
        { 2, 3, "footer of 2" },
        { 0, 3, "footer of 0" },
    };
    for (size_t i = 0; i < ARRAY_LEN(markers); i++) {
        struct writer w = writer_begin(2048, 128, "");
        writer_marker(&w, markers[i].sectors, markers[i].type);
        first_block(&w, 0, markers[i].words);
    }
    for (size_t cut = 1; cut < 512; cut += 73) {
        struct writer w = writer_begin(2048, 128, "");
        writer_marker(&w, 0, 0);
        first_block(&w, cut, "truncated");
    }
}

static void
test_padding_reaches_the_next_sector(void **state)
{
    (void)state;
    assert_int_equal(vmdk_grain_padding(500), 0);
    assert_int_equal(vmdk_grain_padding(501), 511);
    assert_int_equal(vmdk_grain_padding(1), 499);
    assert_int_equal(vmdk_grain_padding(UINT32_MAX) % 512, 512 - ((uint64_t)UINT32_MAX + 12) % 512);
}

/* Tables in front: two for 1,000 grains, of which three are there and one is marked as zero. */
static void
test_tables_in_front_are_counted(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct vmdk_header header;
    struct byte_input *in;
    for (unsigned fault = 0; fault < 5; fault++) {
        struct writer w = writer_begin(1000 * 128, 128, "");
        uint8_t directory[512] = { 0 }, table[2048];
        set_at(directory, 0, fault == 1 ? 1 : fault == 2 ? 8 : 4, 4);     /* behind us; backwards */
        set_at(directory, 4, fault == 3 ? 10000 : fault == 2 ? 4 : 8, 4); /* outside */
        writer_add(&w, directory, sizeof directory);
        for (unsigned t = 0; t < 2; t++) {
            memset(table, 0, sizeof table);
            set_at(table, 4 * (100 + t), 200, 4);
            set_at(table, 4 * 300, t ? 1 : 201, 4);
            writer_add(&w, table, sizeof table);
        }
        set_at(w.data, 56, 3, 8);  /* the directory */
        set_at(w.data, 64, 12, 8); /* overhead */
        if (fault == 4)
            set_at(w.data, 44, 256, 4); /* tables of another size */
        assert_ok(begin(&w, w.len, &in, &header, &err));
        assert_int_equal(byte_input_position(in), 12 * 512);
        assert_int_equal(header.has_listed, fault == 0);
        if (fault == 0)
            assert_int_equal(header.n_listed, 3);
        byte_input_close(in);
        free(w.data);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_is_taken_apart),
        cmocka_unit_test(test_header_that_lies_is_refused),
        cmocka_unit_test(test_descriptor_is_compared),
        cmocka_unit_test(test_start_that_is_cut_off),
        cmocka_unit_test(test_blocks_are_told_apart),
        cmocka_unit_test(test_blocks_that_lie_are_refused),
        cmocka_unit_test(test_padding_reaches_the_next_sector),
        cmocka_unit_test(test_tables_in_front_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
