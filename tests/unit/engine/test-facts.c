#include "engine/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
facts_survive_the_way_through_json(void **state)
{
    (void)state;
    struct guest_facts facts = {
        .type = GUEST_LINUX,
        .distro = strdup("debian"),
        .root = strdup("/dev/sda1"),
        .major = 12,
        .minor = 5,
        .gpt = true,
        .virtio_net = true,
    };
    auto_json json_t *json = facts_to_json(&facts);
    struct guest_facts back;
    assert_true(facts_from_json(json, &back));
    assert_int_equal(back.type, GUEST_LINUX);
    assert_string_equal(back.distro, "debian");
    assert_string_equal(back.root, "/dev/sda1");
    assert_null(back.hostname);
    assert_int_equal(back.major, 12);
    assert_int_equal(back.minor, 5);
    assert_true(back.gpt && back.virtio_net);
    assert_false(back.has_esp || back.has_bios_boot || back.uefi_fallback || back.rtc_localtime ||
                 back.virtio_block);
    guest_facts_free(&facts);
    guest_facts_free(&back);
}

static void
nonsense_is_an_unknown_guest(void **state)
{
    (void)state;
    auto_json json_t *json = json_pack("{s:i, s:i}", "type", 99, "distro", 1);
    struct guest_facts facts;
    assert_true(facts_from_json(json, &facts));
    assert_int_equal(facts.type, GUEST_UNKNOWN);
    assert_null(facts.distro);
    guest_facts_free(&facts);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_survive_the_way_through_json),
        cmocka_unit_test(nonsense_is_an_unknown_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
