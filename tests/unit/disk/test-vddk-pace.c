#include "disk/vddk-pace.h"

#include "scratch.h"

#define DEPTH 16

static void
test_a_refusal_halves_the_number_and_then_the_size(void **state)
{
    (void)state;
    static const struct {
        unsigned window;
        size_t piece;
    } steps[] = { { 8, MIB },       { 4, MIB },       { 2, MIB },       { 1, MIB },
                  { 1, 512 * KIB }, { 1, 256 * KIB }, { 1, 128 * KIB }, { 1, 64 * KIB } };
    struct vddk_pace pace;
    vddk_pace_init(&pace, DEPTH);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        assert_true(vddk_pace_shrink(&pace));
        assert_int_equal(pace.window, steps[i].window);
        assert_int_equal(pace.piece, steps[i].piece);
    }
    assert_false(vddk_pace_shrink(&pace));
    assert_int_equal(pace.window, 1);
    assert_int_equal(pace.piece, PACE_PIECE_MIN);
}

/* Bytes read until the pace is not what it was. */
static uint64_t
bytes_until_a_step(struct vddk_pace *pace)
{
    struct vddk_pace before = *pace;
    uint64_t bytes = 0;
    while (pace->window == before.window && pace->piece == before.piece) {
        vddk_pace_note(pace, pace->piece);
        bytes += before.piece;
        assert_true(bytes < 100 * GIB);
    }
    return bytes;
}

static void
test_it_grows_back_the_size_first_and_never_beyond(void **state)
{
    (void)state;
    struct vddk_pace pace;
    vddk_pace_init(&pace, 4);
    for (int i = 0; i < 3; i++)
        vddk_pace_shrink(&pace);
    assert_int_equal(pace.window, 1);
    assert_int_equal(pace.piece, 512 * KIB);
    bytes_until_a_step(&pace);
    assert_int_equal(pace.piece, MIB);
    for (unsigned window = 2; window <= 4; window++) {
        bytes_until_a_step(&pace);
        assert_int_equal(pace.window, window);
    }
    for (int i = 0; i < 100000; i++)
        vddk_pace_note(&pace, MIB);
    assert_int_equal(pace.window, 4);
    assert_int_equal(pace.piece, MIB);
}

static void
test_each_refusal_makes_it_more_patient(void **state)
{
    (void)state;
    struct vddk_pace pace;
    vddk_pace_init(&pace, DEPTH);
    uint64_t last = 0;
    for (int i = 0; i < 4; i++) {
        vddk_pace_shrink(&pace);
        uint64_t bytes = bytes_until_a_step(&pace);
        assert_true(bytes > last);
        last = bytes;
    }
    for (int i = 0; i < 40; i++)
        vddk_pace_shrink(&pace);
    assert_true(bytes_until_a_step(&pace) <= PACE_CALM_MAX_BYTES);
}

static void
test_a_refusal_forgets_what_went_well(void **state)
{
    (void)state;
    struct vddk_pace pace;
    vddk_pace_init(&pace, DEPTH);
    vddk_pace_shrink(&pace);
    vddk_pace_note(&pace, pace.calm_wanted_bytes - 1);
    vddk_pace_shrink(&pace);
    vddk_pace_note(&pace, 1);
    assert_int_equal(pace.window, 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_refusal_halves_the_number_and_then_the_size),
        cmocka_unit_test(test_it_grows_back_the_size_first_and_never_beyond),
        cmocka_unit_test(test_each_refusal_makes_it_more_patient),
        cmocka_unit_test(test_a_refusal_forgets_what_went_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
