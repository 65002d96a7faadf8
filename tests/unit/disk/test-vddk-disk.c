/* Against fake-vddk.c, whose answers cannot be. */
#include "disk/vddk-disk.h"

#include <stdio.h>

#include "base/log.h"
#include "scratch.h"

#define START (256 * MIB)
#define ASKED (512 * KIB) /* 1,024 sectors */

static void
nothing(enum log_level level, const char *text, void *arg)
{
    (void)level;
    (void)text;
    (void)arg;
}

/* What the fake of that name says of what is asked for; the VixError. */
static uint64_t
ask(const char *path, uint64_t len, uint64_t hole_min, struct extent_list *ret)
{
    struct err err = ERR_INIT;
    struct source_remote remote = { .path = path };
    struct vddk_access access;
    struct vddk_disk disk;
    uint64_t error;
    assert_ok(vddk_access_init(&access, &remote, &err));
    assert_ok(vddk_disk_open(&disk, &access, NULL, &err));
    assert_ok(vddk_disk_allocated(&disk, START, len, hole_min, ret, &error, &err));
    vddk_disk_close(&disk);
    vddk_access_done(&access);
    return error;
}

static void
check(const struct extent_list *list, const char *expected)
{
    char text[256] = "";
    size_t len = 0;
    uint64_t at = START;
    for (size_t i = 0; i < list->n; i++) {
        const struct extent *extent = &list->extents[i];
        assert_int_equal(extent->offset, at);
        at += extent->len;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%u%c", i ? " " : "",
                                (unsigned)(extent->len / SECTOR_BYTES), extent->zero ? 'z' : 'd');
    }
    assert_string_equal(text, expected);
}

static void
test_runs_become_extents(void **state)
{
    (void)state;
    auto_extents struct extent_list list = { 0 };
    assert_int_equal(ask("/good", ASKED, 0, &list), VDDK_OK);
    check(&list, "128z 128d 256z 256d 256z");
    assert_int_equal(ask("/all", ASKED, 0, &list), VDDK_OK);
    check(&list, "1024d");
    assert_int_equal(ask("/nothing", ASKED, 0, &list), VDDK_OK);
    check(&list, "1024z");
    assert_int_equal(ask("/adjacent", ASKED, 0, &list), VDDK_OK);
    check(&list, "256d 768z");
}

static void
test_short_holes_between_data_are_data(void **state)
{
    (void)state;
    auto_extents struct extent_list list = { 0 };
    assert_int_equal(ask("/good", ASKED, 256 * KIB, &list), VDDK_OK);
    check(&list, "128z 640d 256z");
    assert_int_equal(ask("/nothing", ASKED, 100 * MIB, &list), VDDK_OK);
    check(&list, "1024z");
}

static void
test_the_tail_is_data(void **state)
{
    (void)state;
    auto_extents struct extent_list list = { 0 };
    assert_int_equal(ask("/nothing", 64 * KIB - 512, 0, &list), VDDK_OK);
    check(&list, "127d");
    /* Cut where it can be asked; the rest is the next question. */
    assert_int_equal(ask("/nothing", 128 * KIB + 512, 0, &list), VDDK_OK);
    check(&list, "256z");
}

static void
test_nonsense_is_no_answer(void **state)
{
    (void)state;
    static const char *const paths[] = { "/unsorted",       "/overlapping",  "/empty block",
                                         "/behind the end", "/over the end", "/wrapping",
                                         "/too many",       "/none at all" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        auto_extents struct extent_list list = { 0 };
        if (ask(paths[i], ASKED, 0, &list) != VDDK_NONSENSE || list.n != 0)
            fail_msg("%s was believed", paths[i]);
    }
}

static void
test_a_library_without_answers(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct source_remote remote = { .path = "/x", .name = "a disk" };
    struct vddk_access access;
    struct vddk_disk disk;
    uint64_t bytes;
    assert_ok(vddk_access_init(&access, &remote, &err));
    assert_ok(vddk_disk_open(&disk, &access, NULL, &err));
    assert_string_equal(vddk_disk_transport(&disk), "unknown");
    assert_fails(vddk_disk_bytes(&disk, &bytes, &err), ERR_UNAVAILABLE, "a disk: ask for its size");
    vddk_disk_close(&disk);
    vddk_disk_close(&disk);
    vddk_access_done(&access);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_become_extents),
        cmocka_unit_test(test_short_holes_between_data_are_data),
        cmocka_unit_test(test_the_tail_is_data),
        cmocka_unit_test(test_nonsense_is_no_answer),
        cmocka_unit_test(test_a_library_without_answers),
    };
    struct err err = ERR_INIT;
    log_setup("test-vddk-disk", LOG_LEVEL_DEBUG, nothing, NULL);
    if (argc != 2 || vddk_library_load(argv[1], NULL, &err) < 0) {
        fprintf(stderr, "test-vddk-disk LIBDIR: %s\n", err.text);
        return 1;
    }
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    vddk_library_end();
    return r;
}
