#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "cloud-double.h"
#include "wire/json.h"

#define UUID(n) "00000000-0000-4000-8000-00000000000" n
#define ROW(n, name) "{\"id\":\"" UUID(n) "\",\"name\":\"" name "\"}"
#define LIST(command, object, rows)                                                                \
    "{\"" command "response\":{\"count\":1,\"" object "\":[" rows "]}}"
#define ZONES(rows) LIST("listzones", "zone", rows)
#define EMPTY(command) "{\"" command "response\":{}}"
#define FAULT(command, code)                                                                       \
    "{\"" command "response\":{\"errorcode\":" code ",\"errortext\":\"no\"}}"

static int
setup(void **state)
{
    *state = cloud_new();
    return 0;
}

static int
teardown(void **state)
{
    cloudstack_free(*state);
    cloud_done();
    return 0;
}

static void
assert_err(const struct err *err, enum err_kind kind, const char *text)
{
    if (err->kind != kind || !strstr(err->text, text))
        fail_msg("%s, wanted %s '%s': %s", err_kind_name(err->kind), err_kind_name(kind), text,
                 err->text);
}

/* ---- by name or UUID ---- */

static void
a_name_is_exact_and_a_uuid_is_asked_for(void **state)
{
    static const struct cloud_answer answers[] = {
        { .expect = { "command=listZones&" },
          .forbid = "&id=",
          .status = 200,
          .body = ZONES(ROW("1", "z10") "," ROW("2", "z1") "," ROW("3", "Z1")) },
        { .expect = { "&id=" UUID("2") "&" }, .status = 200, .body = ZONES(ROW("2", "z1")) },
    };
    struct cloudstack_zone zone;
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_find_zone(*state, "z1", &zone, &err), 0);
    assert_string_equal(zone.is.id, UUID("2"));
    assert_true(zone.enabled);
    assert_int_equal(cloudstack_find_zone(*state, UUID("2"), &zone, &err), 0);
    assert_string_equal(zone.is.name, "z1");
}

static void
what_is_not_there_is_told_with_what_is(void **state)
{
    static const struct cloud_answer answers[] = {
        { .status = 200, .body = ZONES(ROW("1", "z10") "," ROW("2", "z2")) },
        { .status = 200, .body = EMPTY("listzones") },
        { .status = 431, .body = FAULT("listzones", "431") },
        { .status = 200, .body = ZONES(ROW("1", "same") "," ROW("2", "same")) },
        { .status = 200, .body = ZONES("{\"name\":\"z1\"}") },
        { .status = 401, .body = FAULT("listzones", "401") },
    };
    static const struct {
        const char *text;
        enum err_kind kind;
        const char *says;
    } cases[] = {
        { "z1", ERR_NOT_FOUND, "zone 'z1': there is none of that name; there are: z10, z2" },
        { "z1", ERR_NOT_FOUND, "there is none at all" },
        { UUID("9"), ERR_NOT_FOUND, "none with this UUID" },
        { "same", ERR_CONFLICT, "2 have this name: same (" UUID("1") "), same (" UUID("2") ")" },
        { "z1", ERR_INVALID, "without a proper id" },
        { UUID("1"), ERR_DENIED, "api_key" },
    };
    PLAY(answers);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cloudstack_zone zone;
        struct err err = ERR_INIT;
        assert_int_equal(cloudstack_find_zone(*state, cases[i].text, &zone, &err), -1);
        assert_err(&err, cases[i].kind, cases[i].says);
    }
}

/* ---- things ---- */

static void
a_pool_says_how_full_it_is(void **state)
{
    static const struct cloud_answer answers[] = {
        { .expect = { "command=listStoragePools&", "&zoneid=zone1&" },
          .status = 200,
          .body = LIST(
              "liststoragepools", "storagepool",
              "{\"id\":\"" UUID("1") "\",\"name\":\"nfs\",\"type\":\"NetworkFilesystem\","
                                     "\"state\":\"Up\",\"scope\":\"CLUSTER\",\"clusterid\":\"" UUID(
                                         "7") "\","
                                              "\"disksizetotal\":1099511627776,\"disksizeused\":"
                                              "1000,\"tags\":\"a,b\"}") },
        { .status = 200,
          .body = LIST(
              "liststoragepools", "storagepool",
              "{\"id\":\"" UUID(
                  "1") "\",\"name\":\"nfs\",\"scope\":\"ZONE\","
                       "\"hypervisor\":\"KVM\",\"istagarule\":true,\"state\":\"Maintenance\"}") },
    };
    struct cloudstack_pool pool;
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_find_pool(*state, "zone1", "nfs", &pool, &err), 0);
    assert_true(pool.sized && pool.size_bytes == TIB && pool.used_bytes == 1000);
    assert_int_equal(pool.scope, CLOUDSTACK_SCOPE_CLUSTER);
    assert_string_equal(pool.cluster, UUID("7"));
    assert_string_equal(pool.tags, "a,b");
    assert_int_equal(cloudstack_find_pool(*state, "zone1", "nfs", &pool, &err), 0);
    assert_true(!pool.sized && pool.tags_are_rule);
    assert_string_equal(pool.state, "Maintenance");
}

static void
offerings_are_read_with_their_bounds(void **state)
{
    static const struct cloud_answer answers[] = {
        { .expect = { "command=listServiceOfferings&", "&zoneid=zone1" },
          .status = 200,
          .body = LIST(
              "listserviceofferings", "serviceoffering",
              "{\"id\":\"" UUID(
                  "1") "\",\"name\":\"any\",\"iscustomized\":true,"
                       "\"storagetype\":\"shared\",\"storagetags\":\"ssd\",\"state\":\"Active\","
                       "\"serviceofferingdetails\":{\"mincpunumber\":\"1\",\"maxcpunumber\":\"4\","
                       "\"minmemory\":\"512\",\"maxmemory\":\"8192\"}}") },
        { .expect = { "command=listDiskOfferings&" },
          .status = 200,
          .body = LIST("listdiskofferings", "diskoffering",
                       "{\"id\":\"" UUID(
                           "2") "\",\"name\":\"20G\",\"disksize\":20,"
                                "\"iscustomized\":false,\"encrypt\":true,\"storagetype\":\"local\","
                                "\"state\":\"Inactive\"}") },
        { .expect = { "command=listOsTypes&" },
          .status = 200,
          .body = LIST("listostypes", "ostype",
                       "{\"id\":\"" UUID("3") "\",\"description\":\"Debian GNU/Linux 12\"}") },
    };
    struct cloudstack_offering offering;
    struct cloudstack_disk_offering disk;
    struct cloudstack_thing system;
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_find_offering(*state, "zone1", "any", &offering, &err), 0);
    assert_true(offering.custom && offering.enabled && !offering.local);
    assert_int_equal(offering.max_cpus, 4);
    assert_int_equal(offering.min_memory_mib, 512);
    assert_int_equal(cloudstack_find_disk_offering(*state, "zone1", "20G", &disk, &err), 0);
    assert_true(!disk.custom && !disk.enabled && disk.local && disk.encrypts);
    assert_int_equal(disk.size_gib, 20);
    assert_int_equal(cloudstack_find_os_type(*state, "Debian GNU/Linux 12", &system, &err), 0);
    assert_string_equal(system.id, UUID("3"));
}

static void
hosts_that_can_run_it_are_counted(void **state)
{
    static const struct cloud_answer answers[] = {
        { .expect = { "command=listHosts&", "clusterid=c1&", "&type=Routing" },
          .status = 200,
          .body = "{\"listhostsresponse\":{\"count\":3,\"host\":["
                  "{\"state\":\"Up\",\"resourcestate\":\"Enabled\",\"ueficapability\":true},"
                  "{\"state\":\"Up\",\"resourcestate\":\"Enabled\"},"
                  "{\"state\":\"Down\",\"resourcestate\":\"Enabled\"}]}}" },
    };
    struct cloudstack_hosts hosts;
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_count_hosts(*state, "c1", &hosts, &err), 0);
    assert_true(hosts.n == 2 && hosts.n_uefi == 1 && hosts.n_other == 1);
}

/* ---- who it is ---- */

static void
features_are_those_of_the_commands(void **state)
{
    static const struct cloud_answer answers[] = {
        { .expect = { "command=listCapabilities&" },
          .status = 200,
          .body =
              "{\"listcapabilitiesresponse\":{\"capability\":{\"cloudstackversion\":\"4.22.1.0\""
              ",\"customdiskofferingminsize\":1,\"customdiskofferingmaxsize\":1024}}}" },
        { .expect = { "command=listApis&", "&name=importVm&" },
          .status = 200,
          .body = LIST("listapis", "api",
                       "{\"name\":\"importVm\",\"params\":[{\"name\":\"importsource\"},"
                       "{\"name\":\"diskpath\"}]}") },
        { .expect = { "&name=importVolume&" }, .status = 530, .body = FAULT("listapis", "530") },
    };
    struct cloudstack_about about;
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_ask_about(*state, &about, &err), 0);
    assert_string_equal(about.version, "4.22.1.0");
    assert_true(about.imports_shared && !about.imports_volumes && !about.import_takes_mac);
    assert_true(about.disk_min_gib == 1 && about.disk_max_gib == 1024);
}

/* ---- owners ---- */

#define DOMAINS                                                                                    \
    LIST("listdomains", "domain",                                                                  \
         "{\"id\":\"" UUID("1") "\",\"name\":\"acme\",\"path\":\"ROOT/acme\",\"vmavailable\":"     \
                                "\"Unlimited\",\"cpuavailable\":\"7\"},"                           \
                                "{\"id\":\"" UUID(                                                 \
                                    "2") "\",\"name\":\"acme\",\"path\":\"ROOT/x/acme\"}")
#define DOMAIN                                                                                     \
    LIST("listdomains", "domain",                                                                  \
         "{\"id\":\"" UUID("1") "\",\"name\":\"acme\",\"path\":\"ROOT/acme\",\"vmavailable\":"     \
                                "\"Unlimited\",\"cpuavailable\":\"7\"}")
#define ACCOUNT                                                                                    \
    LIST("listaccounts", "account",                                                                \
         "{\"id\":\"" UUID("3") "\",\"name\":\"bob\",\"state\":\"enabled\",\"vmavailable\":\"0\"," \
                                "\"cpuavailable\":\"-1\",\"memoryavailable\":4096}")

static void
an_account_is_of_its_domain(void **state)
{
    static const struct cloud_answer answers[] = {
        { .status = 200, .body = DOMAINS },
        { .status = 200, .body = DOMAINS },
        { .expect = { "command=listAccounts&", "&domainid=" UUID("1") "&", "&listall=true&" },
          .status = 200,
          .body = ACCOUNT },
        { .status = 200, .body = ACCOUNT },
        { .status = 200, .body = DOMAIN },
    };
    struct cloudstack_owner owner;
    struct cloudstack_quota quotas[CLOUDSTACK_MAX_QUOTAS];
    size_t n;
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_find_owner(*state, "bob", "acme", NULL, &owner, &err), -1);
    assert_err(&err, ERR_CONFLICT, "ROOT/acme (" UUID("1") "), ROOT/x/acme");
    assert_int_equal(cloudstack_find_owner(*state, "bob", "ROOT/acme", NULL, &owner, &err), 0);
    assert_string_equal(owner.domain, UUID("1"));
    assert_string_equal(owner.account, "bob");
    assert_true(owner.enabled);
    assert_int_equal(cloudstack_ask_quotas(*state, &owner, quotas, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(quotas[0].whose, "the account 'bob'");
    assert_int_equal(quotas[0].left[CLOUDSTACK_MACHINES], 0);
    assert_int_equal(quotas[0].left[CLOUDSTACK_CPUS], -1);
    assert_int_equal(quotas[0].left[CLOUDSTACK_MEMORY_MIB], 4096);
    assert_int_equal(quotas[0].left[CLOUDSTACK_VOLUMES], -1);
    assert_int_equal(quotas[1].left[CLOUDSTACK_MACHINES], -1);
    assert_int_equal(quotas[1].left[CLOUDSTACK_CPUS], 7);
}

static void
owners_that_do_not_go_together_are_refused(void **state)
{
    static const struct {
        const char *account, *domain, *project, *text;
    } bad[] = {
        { "a", NULL, NULL, "domainid" },
        { NULL, "d", NULL, "target.cloudstack.account" },
        { "a", "d", "p", "one of them" },
    };
    struct cloudstack_owner owner;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(cloudstack_find_owner(*state, bad[i].account, bad[i].domain,
                                               bad[i].project, &owner, &err),
                         -1);
        assert_err(&err, ERR_INVALID, bad[i].text);
    }
    struct err err = ERR_INIT;
    size_t n = 7;
    struct cloudstack_quota quotas[CLOUDSTACK_MAX_QUOTAS];
    assert_int_equal(cloudstack_find_owner(*state, NULL, NULL, NULL, &owner, &err), 0);
    assert_true(owner.enabled && !*owner.account && !*owner.project);
    assert_int_equal(cloudstack_ask_quotas(*state, &owner, quotas, &n, &err), 0);
    assert_int_equal(n, 0);
}

/* ---- networks ---- */

static void
a_network_is_one_that_the_owner_may_use(void **state)
{
    static const struct cloudstack_owner bob = { .account = "bob", .domain = UUID("1") };
    static const struct cloud_answer answers[] = {
        { .expect = { "account=bob&", "&domainid=" UUID("1") "&", "&zoneid=z" },
          .forbid = "listall",
          .status = 200,
          .body = LIST("listnetworks", "network",
                       "{\"id\":\"" UUID("4") "\",\"name\":\"lan\",\"type\":\"L2\","
                                              "\"canusefordeploy\":false}") },
        { .forbid = "listall", .status = 200, .body = EMPTY("listnetworks") },
        { .expect = { "&listall=true&" },
          .forbid = "account=bob",
          .status = 200,
          .body = LIST("listnetworks", "network",
                       "{\"id\":\"" UUID("5") "\",\"name\":\"lan2\",\"account\":\"eve\"}") },
        { .status = 200, .body = LIST("listnetworks", "network", ROW("6", "wan")) },
        { .status = 200, .body = EMPTY("listnetworks") },
    };
    struct cloudstack_network network;
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_find_network(*state, "z", &bob, "lan", &network, &err), 0);
    assert_string_equal(network.type, "L2");
    assert_false(network.deployable);
    assert_int_equal(cloudstack_find_network(*state, "z", &bob, "lan2", &network, &err), -1);
    assert_err(&err, ERR_CONFLICT, "belongs to the account eve");
    assert_int_equal(cloudstack_find_network(*state, "z", &bob, "lan3", &network, &err), -1);
    assert_err(&err, ERR_NOT_FOUND, "there are: wan");
}

static void
a_mac_that_is_taken_is_found(void **state)
{
#define MACHINES                                                                                   \
    LIST(                                                                                          \
        "listvirtualmachines", "virtualmachine",                                                   \
        "{\"name\":\"web01\",\"nic\":[{\"networkid\":\"n1\",\"macaddress\":\"02:00:00:AA:bb:01\"}" \
        ",{\"networkid\":\"n2\",\"macaddress\":\"02:00:00:aa:bb:02\"}]}")
    static const struct cloud_answer answers[] = {
        { .expect = { "&networkid=n1&", "&listall=true&" }, .status = 200, .body = MACHINES },
        { .status = 200, .body = MACHINES },
    };
    char machine[CLOUDSTACK_TEXT_MAX];
    struct err err = ERR_INIT;
    PLAY(answers);
    assert_int_equal(cloudstack_find_mac(*state, "n1", "02:00:00:aa:bb:01", machine, &err), 0);
    assert_string_equal(machine, "web01");
    assert_int_equal(cloudstack_find_mac(*state, "n1", "02:00:00:aa:bb:02", machine, &err), 0);
    assert_string_equal(machine, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_is_exact_and_a_uuid_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_told_with_what_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pool_says_how_full_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(offerings_are_read_with_their_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(hosts_that_can_run_it_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(features_are_those_of_the_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(an_account_is_of_its_domain, setup, teardown),
        cmocka_unit_test_setup_teardown(owners_that_do_not_go_together_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_network_is_one_that_the_owner_may_use, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mac_that_is_taken_is_found, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
