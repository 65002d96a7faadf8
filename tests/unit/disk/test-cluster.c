#include "disk/cluster.h"

#include "scratch.h"

static const size_t lengths[] = { 1,  2,   7,   8,   9,    15,   16,   17,    31,   32,
                                  33, 511, 512, 513, 4095, 4096, 4097, 65535, 65536 };

static void
test_zeroes_are_seen_at_every_length(void **state)
{
    (void)state;
    auto_free uint8_t *data = calloc(1, CLUSTER_BYTES + 1);
    for (size_t len = 1; len <= 600; len++)
        assert_true(bytes_are_zero(data, len));
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        assert_true(bytes_are_zero(data, lengths[i]));
        assert_int_equal(cluster_hash(data, lengths[i]), CLUSTER_ZERO);
        data[lengths[i]] = 1; /* just behind it */
        assert_true(bytes_are_zero(data, lengths[i]));
        data[lengths[i]] = 0;
    }
}

static void
test_one_byte_is_seen_wherever_it_is(void **state)
{
    (void)state;
    auto_free uint8_t *data = calloc(1, CLUSTER_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        for (size_t at = 0; at < lengths[i]; at++) {
            data[at] = (uint8_t)(1 << at % 8);
            if (bytes_are_zero(data, lengths[i]))
                fail_msg("byte %zu of %zu was not seen", at, lengths[i]);
            data[at] = 0;
        }
}

static void
test_hash_is_never_what_means_something_else(void **state)
{
    (void)state;
    uint64_t seed = 1;
    uint8_t data[64];
    for (size_t i = 0; i < 100000; i++) {
        for (size_t b = 0; b < sizeof data; b += 8) {
            uint64_t n = next_random(&seed);
            memcpy(data + b, &n, 8);
        }
        uint64_t hash = cluster_hash(data, sizeof data);
        assert_true(hash > CLUSTER_ZERO);
        assert_true(hash >> CLUSTER_HASH_BITS == 0);
    }
}

static void
test_hash_tells_apart_what_differs_in_a_bit_or_in_length(void **state)
{
    (void)state;
    auto_free uint8_t *data = calloc(1, CLUSTER_BYTES);
    data[100] = 1;
    uint64_t first = cluster_hash(data, CLUSTER_BYTES);
    assert_int_equal(cluster_hash(data, CLUSTER_BYTES), first);
    assert_true(cluster_hash(data, CLUSTER_BYTES - 512) != first);
    for (size_t at = 0; at < CLUSTER_BYTES; at += 37) {
        data[at] ^= 0x10;
        assert_true(cluster_hash(data, CLUSTER_BYTES) != first);
        data[at] ^= 0x10;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeroes_are_seen_at_every_length),
        cmocka_unit_test(test_one_byte_is_seen_wherever_it_is),
        cmocka_unit_test(test_hash_is_never_what_means_something_else),
        cmocka_unit_test(test_hash_tells_apart_what_differs_in_a_bit_or_in_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
