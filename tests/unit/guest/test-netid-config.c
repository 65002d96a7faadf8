#include "guest/netid-config.h"

#include <errno.h>

#include "scratch.h"

static struct netid_config config;

static int
empty(void **state)
{
    (void)state;
    config = (struct netid_config){ 0 };
    return 0;
}

/* "ens192 ens224=00:50:..." */
static void
assert_names(const char *expected)
{
    char got[2048] = "";
    size_t used = 0;
    for (size_t i = 0; i < config.n_names; i++)
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%s%s%s", i ? " " : "",
                                 config.names[i].name, config.names[i].mac[0] ? "=" : "",
                                 config.names[i].mac);
    assert_string_equal(got, expected);
}

static void
assert_rules(const char *expected)
{
    char got[2048] = "";
    size_t used = 0;
    for (size_t i = 0; i < config.n_rules; i++)
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%s=%s", i ? " " : "",
                                 config.rules[i].name, config.rules[i].mac);
    assert_string_equal(got, expected);
}

static void
test_ifupdown(void **state)
{
    (void)state;
    netid_read_ifupdown(&config,
                        "auto lo br0\n"
                        "iface lo inet loopback\n"
                        "# auto ens999\n"
                        "allow-hotplug ens192\n"
                        "iface ens192 inet static\n"
                        "\taddress 192.0.2.10/24\n"
                        "auto ens224:1 \\\n  ens256\n"
                        "iface ens161.100 inet manual\n"
                        "iface br0 inet manual\n"
                        "    bridge_ports ens193 eth0\n"
                        "    bond-slaves none\n"
                        "auto /ens*\n"
                        "iface ens192 inet6 auto\n",
                        "/etc/network/interfaces");
    assert_names("ens192 ens224 ens256 ens161 ens193 eth0");
    assert_string_equal(config.names[0].source, "/etc/network/interfaces");
}

static void
test_keyfile(void **state)
{
    (void)state;
    netid_read_keyfile(&config,
                       "[connection]\nid=Wired\ntype=ethernet\ninterface-name=ens192\n\n"
                       "[ethernet]\nmac-address=00:50:56:AA:BB:01\n[ipv4]\nmethod=auto\n",
                       "a");
    netid_read_keyfile(&config, "[connection]\ntype=ethernet\nid=any\n[ipv4]\nmethod=auto\n", "b");
    netid_read_keyfile(&config, "[connection]\ntype=bridge\ninterface-name=ens77\n", "c");
    netid_read_keyfile(&config, "[connection]\ntype=vlan\n[vlan]\nid=5\nparent=ens224\n", "d");
    netid_read_keyfile(
        &config, "[connection]\ntype = 802-3-ethernet\n[match]\ninterface-name=ens256;eno1;\n",
        "e");
    assert_names("ens192=00:50:56:aa:bb:01 ens224 ens256 eno1");
}

static void
test_ifcfg(void **state)
{
    (void)state;
    netid_read_ifcfg(&config,
                     "TYPE=\"Ethernet\"\nDEVICE=\"ens192\"\nHWADDR='00:50:56:AA:BB:01'\n"
                     "BOOTPROTO=none\n",
                     "/etc/sysconfig/network-scripts/ifcfg-ens192");
    netid_read_ifcfg(&config, "TYPE=Bridge\nDEVICE=ens200\n", "ifcfg-br0");
    netid_read_ifcfg(&config, "DEVICE=lo\n", "ifcfg-lo");
    netid_read_ifcfg(&config, "DEVICE=ens224.100\nVLAN=yes\nPHYSDEV=ens225\n", "ifcfg-ens224.100");
    /* SUSE: the name is the file's */
    netid_read_ifcfg(&config, "BOOTPROTO='static'\nSTARTMODE='auto'\n",
                     "/etc/sysconfig/network/ifcfg-eth3");
    netid_read_ifcfg(&config,
                     "BRIDGE='yes'\nBRIDGE_PORTS='ens161 ens193'\nBONDING_SLAVE_0='ens257'\n",
                     "/etc/sysconfig/network/ifcfg-br1");
    netid_read_ifcfg(&config, "STARTMODE='auto'\n", "/etc/sysconfig/network/ifcfg-eth4.bak");
    assert_names("ens192=00:50:56:aa:bb:01 ens225 ens224 eth3 ens161 ens193 ens257 eth4");
}

static void
test_netplan(void **state)
{
    (void)state;
    netid_read_netplan(&config,
                       "# cloud-init\n"
                       "network:\n"
                       "    version: 2\n"
                       "    ethernets:\n"
                       "        ens192:\n"
                       "            addresses:\n"
                       "            - 192.0.2.10/24\n"
                       "            match:\n"
                       "                macaddress: 00:50:56:aa:bb:01\n"
                       "            set-name: ens192\n"
                       "        \"ens224\":   # by name\n"
                       "            dhcp4: true\n"
                       "        lan:\n"
                       "            match: {macaddress: \"00:50:56:aa:bb:02\"}\n"
                       "            dhcp4: true\n"
                       "        wan:\n"
                       "            match:\n"
                       "                name: ens256\n"
                       "        many:\n"
                       "            match:\n"
                       "                name: ens*\n"
                       "    bridges:\n"
                       "        ens99:\n"
                       "            interfaces: [ens224]\n",
                       "50-cloud-init.yaml");
    assert_names("ens224 ens256");
    assert_rules("ens192=00:50:56:aa:bb:01");
}

static void
test_netplan_at_the_end_of_the_file(void **state)
{
    (void)state;
    netid_read_netplan(&config, "network:\n  ethernets:\n    ens160:\n      dhcp4: yes", "a.yaml");
    netid_read_netplan(&config, "network:\n  ethernets:\n", "b.yaml");
    netid_read_netplan(&config, "network:\n  ethernets:\n    ens161: {}\n  vlans:\n    eth7:\n",
                       "c");
    netid_read_netplan(&config, "", "d");
    assert_names("ens160 ens161");
}

static void
test_networkd(void **state)
{
    (void)state;
    netid_read_networkd(&config, "[Match]\nName=ens192 ens224\n\n[Network]\nDHCP=yes\n", "a");
    netid_read_networkd(&config, "[Match]\nMACAddress=00:50:56:aa:bb:02\n[Network]\nName=ens1\n",
                        "b");
    netid_read_networkd(&config, "[Match]\nName=ens256\nMACAddress=00:50:56:aa:bb:03\n", "c");
    netid_read_networkd(&config, "[Match]\nName=en* eth*\n", "d");
    netid_read_networkd(&config, "[Match]\nName=!ens33\n", "e");
    assert_names("ens192 ens224 ens256=00:50:56:aa:bb:03");
}

static void
test_links(void **state)
{
    (void)state;
    netid_read_link(&config, "[Match]\nMACAddress=00:50:56:aa:bb:01\n[Link]\nName=ens192\n", "a");
    netid_read_link(&config,
                    "[Match]\nPermanentMACAddress=00:50:56:aa:bb:02 00:50:56:aa:bb:03\n"
                    "[Link]\nName=lan0\n",
                    "b");
    netid_read_link(&config, "[Match]\nOriginalName=*\n[Link]\nNamePolicy=mac\n", "c");
    assert_rules("ens192=00:50:56:aa:bb:01 lan0=00:50:56:aa:bb:02 lan0=00:50:56:aa:bb:03");
}

static void
test_udev_rules(void **state)
{
    (void)state;
    netid_read_udev_rules(
        &config,
        "# This file was automatically generated\n"
        "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
        "ATTR{address}==\"00:50:56:aa:bb:01\", "
        "ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", KERNEL==\"eth*\", NAME=\"eth0\"\n"
        "SUBSYSTEM==\"net\", ATTR{address}==\"00:50:56:aa:bb:02\", \\\n  NAME:=\"lan\"\n"
        "SUBSYSTEM==\"net\", KERNELS==\"0000:0b:00.0\", ATTR{address}==\"00:50:56:aa:bb:03\", "
        "NAME=\"eth2\"\n"
        "SUBSYSTEM==\"net\", DRIVERS==\"vmxnet3\", ATTR{address}==\"00:50:56:aa:bb:04\", "
        "NAME=\"eth3\"\n"
        "KERNEL==\"sd*\", SYMLINK+=\"disk\"\n"
        "# SUBSYSTEM==\"net\", ATTR{address}==\"00:50:56:aa:bb:05\", NAME=\"eth5\"\n",
        "70-persistent-net.rules");
    assert_rules("eth0=00:50:56:aa:bb:01 lan=00:50:56:aa:bb:02");
}

static void
test_names(void **state)
{
    (void)state;
    static const char *const words[] = { "ens192",
                                         "eth0",
                                         "enp11s0",
                                         "eno16777736",
                                         "em1",
                                         "p2p1",
                                         "enx005056aabb01",
                                         "ens192np0",
                                         "lo",
                                         "br0",
                                         "bond0",
                                         "eth",
                                         "ens*",
                                         "",
                                         "wlan0",
                                         "p1",
                                         "ens192'",
                                         "vmbr0",
                                         "ens1234567890123",
                                         "tun0",
                                         "ens192" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        netid_add_name(&config, words[i], strlen(words[i]), NULL, "x");
    assert_names("ens192 eth0 enp11s0 eno16777736 em1 p2p1 enx005056aabb01 ens192np0");
}

static void
test_a_known_name_learns_its_mac(void **state)
{
    (void)state;
    netid_add_name(&config, "ens192", 6, NULL, "first");
    netid_add_name(&config, "ens192", 6, "00-50-56-AA-BB-01", "second");
    netid_add_name(&config, "ens192", 6, "00:50:56:aa:bb:99", "third");
    assert_names("ens192=00:50:56:aa:bb:01");
    assert_string_equal(config.names[0].source, "first");
}

static void
test_no_more_than_fit(void **state)
{
    (void)state;
    for (int i = 0; i < NETID_MAX_NAMES + 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "eth%d", i);
        netid_add_name(&config, name, strlen(name), NULL, "x");
        netid_add_rule(&config, name, "00:50:56:aa:bb:01");
    }
    assert_int_equal(config.n_names, NETID_MAX_NAMES);
    assert_int_equal(config.n_rules, NETID_MAX_NAMES);
}

/* Any text must be survived, whatever reader it comes to. */
static void
test_rubbish(void **state)
{
    (void)state;
    static const char *const texts[] = { "",
                                         "\n",
                                         "=",
                                         "[",
                                         "[]",
                                         "\\",
                                         "\\\n",
                                         "a\\\n\\\n=",
                                         "ethernets:\n:\n  :\n   match:\n",
                                         "NAME=\"",
                                         "NAME==",
                                         "iface",
                                         "auto",
                                         "\"",
                                         "'",
                                         "match: {macaddress:",
                                         "DEVICE='",
                                         ": :" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        netid_read_ifupdown(&config, texts[i], "x");
        netid_read_keyfile(&config, texts[i], "x");
        netid_read_ifcfg(&config, texts[i], "x");
        netid_read_netplan(&config, texts[i], "x");
        netid_read_networkd(&config, texts[i], "x");
        netid_read_udev_rules(&config, texts[i], "x");
        netid_read_link(&config, texts[i], "x");
    }
    assert_names("");
    assert_rules("");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty)
    const struct CMUnitTest tests[] = {
        TEST(test_ifupdown),
        TEST(test_keyfile),
        TEST(test_ifcfg),
        TEST(test_netplan),
        TEST(test_netplan_at_the_end_of_the_file),
        TEST(test_networkd),
        TEST(test_links),
        TEST(test_udev_rules),
        TEST(test_names),
        TEST(test_a_known_name_learns_its_mac),
        TEST(test_no_more_than_fit),
        TEST(test_rubbish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
