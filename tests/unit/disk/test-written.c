#include "disk/written.h"

#include "scratch.h"

#define N (2 * MAP_CHUNK_CLUSTERS + 100)

/* Against a plain array. */
static void
compare(struct written *written, const bool *wanted, uint64_t max)
{
    uint64_t at = 0, first, n, count = 0;
    while (written_next(written, at, max, &first, &n)) {
        assert_true(first >= at && n >= 1 && n <= max && first + n <= N);
        for (; at < first; at++)
            assert_false(wanted[at]);
        for (; at < first + n; at++)
            assert_true(wanted[at]);
        count += n;
    }
    for (; at < N; at++)
        assert_false(wanted[at]);
    assert_int_equal(written_count(written), count);
}

static void
test_runs_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 40; seed++) {
        struct err err = ERR_INIT;
        struct written *written;
        static bool wanted[N];
        uint64_t dice = seed;
        memset(wanted, 0, sizeof wanted);
        assert_ok(written_new((N - 1) * CLUSTER_BYTES + 512, &written, &err));
        compare(written, wanted, 16);
        for (unsigned i = 0; i < seed; i++) {
            uint64_t first = next_random(&dice) % N;
            uint64_t n = 1 + next_random(&dice) % (seed % 2 ? 20 : N);
            n = MIN(n, N - first);
            assert_ok(written_add(written, first, n, &err));
            for (uint64_t c = first; c < first + n; c++)
                wanted[c] = true;
        }
        compare(written, wanted, 16);
        compare(written, wanted, N);
        written_free(written);
    }
}

/* The last chunk is a short one. */
static void
test_all_of_it(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct written *written;
    uint64_t first, n;
    assert_ok(written_new(N * CLUSTER_BYTES, &written, &err));
    for (uint64_t c = 0; c < N; c++)
        assert_ok(written_add(written, c, 1, &err));
    assert_ok(written_add(written, 0, N, &err));
    assert_true(written_next(written, 0, N, &first, &n));
    assert_int_equal(first, 0);
    assert_int_equal(n, N);
    assert_false(written_next(written, N, N, &first, &n));
    assert_int_equal(written_count(written), N);
    written_free(written);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_come_back),
        cmocka_unit_test(test_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
