#include "guest/netid-plan.h"

#include <errno.h>

#include "scratch.h"

#define MAC1 "00:50:56:aa:bb:01"
#define MAC2 "00:50:56:aa:bb:02"
#define MAC3 "00:50:56:aa:bb:03"

static struct netid_config config;
static struct netid_plan plan;
static struct guest_report notes;

static int
empty(void **state)
{
    (void)state;
    config = (struct netid_config){ 0 };
    notes = (struct guest_report){ 0 };
    return 0;
}

static void
name(const char *text)
{
    netid_add_name(&config, text, strlen(text), NULL, "/etc/x");
}

static struct vm_nic
nic(const char *mac, unsigned pci_slot)
{
    struct vm_nic made = { .pci_slot = pci_slot };
    snprintf(made.mac, sizeof made.mac, "%s", mac);
    return made;
}

static void
assert_plan(const char *expected)
{
    char got[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < plan.n; i++)
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%s=%s", i ? " " : "",
                                 plan.rules[i].name, plan.rules[i].mac);
    assert_string_equal(got, expected);
}

static unsigned
count(const char *code)
{
    unsigned n = 0;
    for (size_t i = 0; i < notes.n_findings; i++)
        n += strcmp(notes.findings[i].code, code) == 0;
    return n;
}

/* Seen on VMware: the n-th NIC's slot and name. */
static void
test_slot_numbers(void **state)
{
    (void)state;
    assert_int_equal(netid_slot_number(160), 160);
    assert_int_equal(netid_slot_number(192), 192);
    assert_int_equal(netid_slot_number(33), 33);
    assert_int_equal(netid_slot_number(1184), 161);
    assert_int_equal(netid_slot_number(1216), 193);
    assert_int_equal(netid_slot_number(2208), 162);
}

static void
test_slots_in_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned slot;
    } known[] = {
        { "ens192", 192 },      { "ens33", 33 },       { "ens161", 161 },
        { "ens192np0", 192 },   { "enp3s0", 160 },     { "enp11s0", 192 },
        { "enp19s0", 224 },     { "enp27s0", 256 },    { "enp4s0", 161 },
        { "enp2s1", 33 },       { "eno16777736", 33 }, { "eno33554960", 34 },
        { "eno50332184", 35 },  { "eno67109408", 36 }, { "eno16780032", 192 },
        { "eno16777984", 160 },
    };
    static const char *const unknown[] = { "eth0", "eno1",  "enp40s0",        "enp0s3", "enpxs0",
                                           "ens",  "enp11", "ens99999999999", "lan0",   "" };
    unsigned slot;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!netid_slot_of_name(known[i].name, &slot))
            fail_msg("%s", known[i].name);
        assert_int_equal(slot, known[i].slot);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (netid_slot_of_name(unknown[i], &slot))
            fail_msg("%s is %u", unknown[i], slot);
}

static void
test_by_slot(void **state)
{
    (void)state;
    const struct vm_nic nics[] = { nic(MAC1, 1184), nic(MAC2, 160), nic(MAC3, 192) };
    name("ens192");
    name("ens160");
    name("ens161");
    netid_decide(&config, nics, 3, &plan, &notes);
    assert_plan("ens192=" MAC3 " ens160=" MAC2 " ens161=" MAC1);
    assert_int_equal(count("netid-rule"), 3);
}

static void
test_by_order_when_no_slot_is_known(void **state)
{
    (void)state;
    const struct vm_nic nics[] = { nic(MAC1, 0), nic(MAC2, 0), nic(MAC3, 0) };
    name("ens161");
    name("ens192");
    name("ens224");
    netid_decide(&config, nics, 3, &plan, &notes);
    assert_plan("ens161=" MAC3 " ens192=" MAC1 " ens224=" MAC2);
}

static void
test_by_order_only_when_unambiguous(void **state)
{
    (void)state;
    const struct vm_nic nics[] = { nic(MAC1, 0), nic(MAC2, 0) };
    name("ens192");
    netid_decide(&config, nics, 2, &plan, &notes);
    assert_plan("");
    assert_int_equal(count("netid-unmapped"), 1);
    assert_int_equal(notes.findings[0].level, FINDING_WARNING);
}

static void
test_the_only_nic(void **state)
{
    (void)state;
    const struct vm_nic nics[] = { nic(MAC1, 0) };
    name("em1");
    netid_decide(&config, nics, 1, &plan, &notes);
    assert_plan("em1=" MAC1);
}

static void
test_a_slot_that_no_nic_has(void **state)
{
    (void)state;
    const struct vm_nic nics[] = { nic(MAC1, 160) };
    name("ens160");
    name("ens224"); /* a card that was taken out long ago */
    netid_decide(&config, nics, 1, &plan, &notes);
    assert_plan("ens160=" MAC1);
    assert_int_equal(count("netid-unmapped"), 1);
}

static void
test_by_mac(void **state)
{
    (void)state;
    const struct vm_nic nics[] = { nic(MAC1, 160), nic(MAC2, 192) };
    netid_add_name(&config, "ens160", 6, MAC2, "x"); /* says more than the slot */
    name("enx005056aabb01");
    netid_add_name(&config, "ens224", 6, MAC3, "x"); /* a MAC that is gone */
    netid_decide(&config, nics, 2, &plan, &notes);
    assert_plan("ens160=" MAC2 " enx005056aabb01=" MAC1);
    assert_int_equal(count("netid-unmapped"), 1);
}

static void
test_names_that_stay_are_left_alone(void **state)
{
    (void)state;
    const struct vm_nic nics[] = { nic(MAC1, 192), nic(MAC2, 224) };
    name("eth0");
    name("ens192");
    name("ens224");
    netid_add_rule(&config, "ens192", MAC1);
    netid_add_rule(&config, "ens224", MAC3); /* of a card that is gone: worth nothing */
    netid_decide(&config, nics, 2, &plan, &notes);
    assert_plan("ens224=" MAC2);
    assert_int_equal(count("netid-unneeded"), 2);
}

static void
test_two_names_for_one_nic(void **state)
{
    (void)state;
    const struct vm_nic nics[] = { nic(MAC1, 192) };
    name("ens192");
    name("enp11s0");
    netid_decide(&config, nics, 1, &plan, &notes);
    assert_plan("ens192=" MAC1);
    assert_int_equal(count("netid-unmapped"), 1);
}

static void
test_a_nic_without_a_mac(void **state)
{
    (void)state;
    const struct vm_nic nics[] = { nic("", 192) };
    name("ens192");
    netid_decide(&config, nics, 1, &plan, &notes);
    assert_plan("");
    assert_int_equal(count("netid-unmapped"), 1);
    netid_decide(&config, nics, 0, &plan, &notes);
    assert_plan("");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty)
    const struct CMUnitTest tests[] = {
        TEST(test_slot_numbers),
        TEST(test_slots_in_names),
        TEST(test_by_slot),
        TEST(test_by_order_when_no_slot_is_known),
        TEST(test_by_order_only_when_unambiguous),
        TEST(test_the_only_nic),
        TEST(test_a_slot_that_no_nic_has),
        TEST(test_by_mac),
        TEST(test_names_that_stay_are_left_alone),
        TEST(test_two_names_for_one_nic),
        TEST(test_a_nic_without_a_mac),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
