#include "disk/qcow2-refcount.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "scratch.h"

static void
refs_done(struct qcow2_refs *refs)
{
    qcow2_refs_free(refs);
}

static void
test_claims_and_holes(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(refs_done) struct qcow2_refs refs = { 0 };
    uint64_t first, n;
    assert_ok(qcow2_refs_claim(&refs, 0, 3, &err));
    assert_ok(qcow2_refs_claim(&refs, 5, 2, &err));
    assert_ok(qcow2_refs_claim(&refs, 100000, 1, &err));
    assert_int_equal(refs.end, 100001);
    assert_fails(qcow2_refs_claim(&refs, 2, 1, &err), ERR_INVALID, "cluster 2 is used twice");
    assert_fails(qcow2_refs_claim(&refs, 4, 2, &err), ERR_INVALID, "cluster 5");
    assert_ok(qcow2_refs_claim(&refs, 4, 1, &err)); /* a claim that failed took nothing */

    /* The first hole, then the next one, then the end. */
    assert_ok(qcow2_refs_alloc(&refs, 4, &first, &n, &err));
    assert_int_equal(first, 3);
    assert_int_equal(n, 1);
    assert_ok(qcow2_refs_alloc(&refs, 16, &first, &n, &err));
    assert_int_equal(first, 7);
    assert_int_equal(n, 16);
    uint64_t next = 23;
    while (next < 100000) {
        assert_ok(qcow2_refs_alloc(&refs, 1000, &first, &n, &err));
        assert_int_equal(first, next);
        assert_true(n <= 1000);
        next += n;
    }
    assert_int_equal(next, 100000);
    assert_ok(qcow2_refs_alloc(&refs, 16, &first, &n, &err));
    assert_int_equal(first, 100001);
    assert_int_equal(n, 16);
    assert_int_equal(refs.end, 100017);
}

static void
test_no_cluster_is_given_out_twice(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint64_t seed = 3;
    AUTO(refs_done) struct qcow2_refs refs = { 0 };
    static uint8_t used[200000];
    for (int i = 0; i < 3000; i++) {
        uint64_t c = next_random(&seed) % 100000;
        if (!used[c]) {
            assert_ok(qcow2_refs_claim(&refs, c, 1, &err));
            used[c] = 1;
        }
    }
    uint64_t given = 0;
    while (given < 100000) {
        uint64_t first, n;
        assert_ok(qcow2_refs_alloc(&refs, 1 + next_random(&seed) % 16, &first, &n, &err));
        for (uint64_t c = first; c < first + n; c++) {
            assert_false(used[c]);
            used[c] = 1;
        }
        given += n;
    }
}

static void
test_a_file_cannot_grow_without_end(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(refs_done) struct qcow2_refs refs = { 0 };
    assert_fails(qcow2_refs_claim(&refs, QCOW2_MAX_FILE_BYTES / CLUSTER_BYTES, 1, &err),
                 ERR_INVALID, "grows beyond");
}

/* What is laid down: a table and blocks behind everything, which count themselves. */
static void
check_stored(uint64_t used, const struct qcow2_refs *refs, int fd,
             const struct qcow2_header *header)
{
    struct err err = ERR_INIT;
    auto_free uint64_t *table = malloc(header->refcount_table_clusters * CLUSTER_BYTES);
    auto_free uint16_t *block = malloc(CLUSTER_BYTES);
    assert_int_equal(header->refcount_table_offset, used * CLUSTER_BYTES);
    assert_ok(fd_pread_exact(fd, table, header->refcount_table_clusters * CLUSTER_BYTES,
                             header->refcount_table_offset, "table", &err));
    uint64_t counted = 0;
    for (size_t b = 0; b < header->refcount_table_clusters * QCOW2_L2_ENTRIES; b++) {
        if (!table[b])
            continue;
        assert_ok(fd_pread_exact(fd, block, CLUSTER_BYTES, be64toh(table[b]), "block", &err));
        for (size_t i = 0; i < QCOW2_REFCOUNTS_PER_BLOCK; i++) {
            uint64_t cluster = b * QCOW2_REFCOUNTS_PER_BLOCK + i;
            assert_int_equal(be16toh(block[i]), cluster < refs->end);
            counted += be16toh(block[i]);
        }
    }
    assert_int_equal(counted, refs->end);
}

static void
test_tables_count_themselves(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint64_t per_block = QCOW2_REFCOUNTS_PER_BLOCK;
    uint64_t sizes[] = { 2,         per_block - 3,     per_block - 2,    per_block - 1,
                         per_block, 2 * per_block - 3, 2 * per_block - 2 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO(refs_done) struct qcow2_refs refs = { 0 };
        auto_close int fd = memfd_create("image", MFD_CLOEXEC);
        struct qcow2_header header = { .dirty = true };
        assert_ok(qcow2_refs_claim(&refs, 0, sizes[i], &err));
        assert_ok(qcow2_refs_store(&refs, fd, &header, "image", &err));
        check_stored(sizes[i], &refs, fd, &header);
    }
    AUTO(refs_done) struct qcow2_refs refs = { 0 };
    struct qcow2_header clean = { 0 };
    assert_fails(qcow2_refs_store(&refs, -1, &clean, "image", &err), ERR_BUG, "clean");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_and_holes),
        cmocka_unit_test(test_no_cluster_is_given_out_twice),
        cmocka_unit_test(test_a_file_cannot_grow_without_end),
        cmocka_unit_test(test_tables_count_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
