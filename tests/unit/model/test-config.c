#include "model/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"
#include "base/fd.h"

#define SHA1 "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33"

static const char every_key[] =
    "vcenter: {host: vc1, user: admin, password: 12345, nfc_port: 9902,\n"
    "          tls: {ca: /ca.pem, thumbprint: '" SHA1 "', verify: false}}\n"
    "vcenters:\n"
    "  prod: {host: 'https://vc2:8443/sdk', user: p, password_file: /etc/p}\n"
    "  lab-2: {host: '[fe80::1]', password_env: LAB_PASSWORD}\n"
    "migration:\n"
    "  vddk_path: /opt/vddk\n"
    "  control_dir: /var/lib/x\n"
    "  specs_dir: /srv/specs\n"
    "  workdir: /srv\n"
    "  snapshot_quiesce: true\n"
    "  shutdown_mode: manual\n"
    "  finalize_settle_seconds: 20\n"
    "  parallel_disks: 6\n"
    "  parallel_vms: 9\n"
    "cloudstack: {endpoint: cs1, api_key: k, secret_key: s, timeout_seconds: 50,\n"
    "             tls: {verify: true}}\n"
    "cloudstack_defaults: {zoneid: 1, clusterid: 2, storageid: 3, networkid: 4,\n"
    "  serviceofferingid: 5, diskofferingid: 6, ostypeid: 7, boottype: BIOS, bootmode: LEGACY,\n"
    "  rootdiskcontroller: sata, nicadapter: e1000}\n"
    "virt: {run_virt_v2v: true, virtio_iso: /iso}\n"
    "api: {listen: '127.0.0.1:8000', token_file: /t, tls_cert: /c, tls_key: /k}\n"
    "store: /srv/db\n"
    "limits: {disks_per_esxi: 3, bandwidth: 1G}\n";

static void
read_good(const char *text, struct config *config)
{
    struct err err = ERR_INIT;
    *config = (struct config){ 0 };
    if (config_read(text, strlen(text), "c.yaml", false, config, &err) < 0)
        fail_msg("%s", err.text);
}

static void
check_every_key(const struct config *config)
{
    assert_true(config->has_vcenter);
    assert_string_equal(config->vcenter.host, "vc1");
    assert_string_equal(config->vcenter.user, "admin");
    assert_string_equal(config->vcenter.password.value, "12345");
    assert_int_equal(config->vcenter.nfc_port, 9902);
    assert_string_equal(config->vcenter.tls.ca, "/ca.pem");
    assert_string_equal(config->vcenter.tls.thumbprint, SHA1);
    assert_int_equal(config->vcenter.tls.verify, TRISTATE_NO);
    assert_int_equal(config->n_vcenters, 2);
    assert_string_equal(config->vcenters[0].key, "prod");
    assert_string_equal(config->vcenters[0].password.file, "/etc/p");
    assert_string_equal(config->vcenters[1].key, "lab-2");
    assert_string_equal(config->vcenters[1].password.env, "LAB_PASSWORD");
    const struct config_migration *migration = &config->migration;
    assert_string_equal(migration->vddk_path, "/opt/vddk");
    assert_string_equal(migration->control_dir, "/var/lib/x");
    assert_string_equal(migration->specs_dir, "/srv/specs");
    assert_string_equal(migration->workdir, "/srv");
    assert_int_equal(migration->snapshot_quiesce, SPEC_QUIESCE_TRUE);
    assert_int_equal(migration->shutdown_mode, SPEC_SHUTDOWN_MANUAL);
    assert_int_equal(migration->finalize_settle_s, 20);
    assert_int_equal(migration->parallel_disks, 6);
    assert_int_equal(migration->parallel_vms, 9);
    assert_string_equal(config->cloudstack.endpoint, "cs1");
    assert_string_equal(config->cloudstack.api_key.value, "k");
    assert_string_equal(config->cloudstack.secret_key.value, "s");
    assert_int_equal(config->cloudstack.timeout_s, 50);
    assert_int_equal(config->cloudstack.tls.verify, TRISTATE_YES);
    assert_string_equal(config->cloudstack_defaults.zoneid, "1");
    assert_string_equal(config->cloudstack_defaults.nicadapter, "e1000");
    assert_int_equal(config->virt.run_virt_v2v, TRISTATE_YES);
    assert_string_equal(config->virt.virtio_iso, "/iso");
    assert_string_equal(config->api.listen, "127.0.0.1:8000");
    assert_string_equal(config->api.token_file, "/t");
    assert_string_equal(config->api.tls_cert, "/c");
    assert_string_equal(config->api.tls_key, "/k");
    assert_string_equal(config->store, "/srv/db");
    assert_int_equal(config->limits.disks_per_esxi, 3);
    assert_int_equal(config->limits.bandwidth_bytes_s, GIB);
}

static void
every_key_is_read_and_written(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_config struct config config, again;
    auto_buf struct buf json = BUF_INIT(65536), second = BUF_INIT(65536);
    read_good(every_key, &config);
    check_every_key(&config);
    assert_int_equal(config_write_json(&config, &json, &err), 0);
    read_good(json.data, &again);
    check_every_key(&again);
    assert_int_equal(config_write_json(&again, &second, &err), 0);
    assert_string_equal(json.data, second.data);
    config_wipe_text(&json);
    assert_int_equal(json.len, 0);
    assert_int_equal(json.data[20], 0);
}

static void
bad_configs_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "vcentre: {}", "c.yaml:1: unknown key 'vcentre' (did you mean 'vcenter'?)" },
        { "vcenter: {host: 'http://x'}", "vcenter.host: 'http://x' is no server" },
        { "vcenter: {host: 'a b'}", "vcenter.host: 'a b' is no server" },
        { "vcenter: {host: 'a:0'}", "'a:0' is no server" },
        { "vcenter: {host: 'a:65536'}", "is no server" },
        { "vcenter: {host: 'a:1/x'}", "is no server" },
        { "vcenter: {host: '[::1'}", "is no server" },
        { "vcenter: {host: ':443'}", "is no server" },
        { "vcenter: {password: hunter2, password_file: /x}",
          "c.yaml:1: password_file: 'password' is given as well" },
        { "vcenter:\n  password_env: A\n  password_file: /x",
          "c.yaml:2: password_env: 'password_file' is given as well" },
        { "vcenter: {password_file: x}", "vcenter.password_file: 'x' is no absolute path" },
        { "vcenter: {password_env: '1A'}", "this cannot be the name of a variable" },
        { "vcenter: {password_env: 'A=B'}", "this cannot be the name of a variable" },
        { "vcenter: {tls: {thumbprint: 'AA:BB'}}", "'AA:BB' is no SHA-1 or SHA-256 thumbprint" },
        { "vcenter: {tls: {thumbprint: '0:" SHA1 "'}}", "is no SHA-1 or SHA-256" },
        { "vcenter: {nfc_port: 0}", "c.yaml:1: vcenter.nfc_port: 0 is not from 1 to 65535" },
        { "vcenters: {a: {host: x, nfc_port: 65536}}", "65536 is not from 1 to 65535" },
        { "vcenter: {tls: yes}", "vcenter.tls: a map of keys and values belongs here" },
        { "vcenters: {'a/b': {host: x}}", "'a/b' is no name for a vCenter" },
        { "vcenters: {.a: {host: x}}", "'.a' is no name for a vCenter" },
        { "vcenters: {a: {user: x}}", "c.yaml:1: vcenters.a: host is missing" },
        { "vcenters: {a: {host: x, password: 1, password_env: B}}", "given as well" },
        { "vcenters: [{host: x}]", "vcenters: a map of keys and values belongs here, not a list" },
        { "cloudstack: {api_key: a, api_key_env: B}", "api_key_env: 'api_key' is given as well" },
        { "cloudstack: {secret_key_file: /a, secret_key_env: B}", "given as well" },
        { "cloudstack: {timeout_seconds: 3601}", "3601 is not from 0 to 3600" },
        { "migration: {control_dir: x}", "'x' is no absolute path" },
        { "migration: {parallel_vms: 300}", "300 is not from 0 to 256" },
        { "migration: {parallel_disks: 65}", "65 is not from 0 to 64" },
        { "api: {tls_cert: /x}", "c.yaml:1: api: tls_cert and tls_key belong together" },
        { "limits: {disks_per_esxi: -1}", "-1 is not from 0 to 256" },
        { "limits: {bandwidth: 100}", "100 is not from 64.0 KiB" },
        { "readers: 3", "unknown key 'readers'" },
        { "[]", "a map of keys and values belongs here, not a list" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct config config = { 0 };
        if (config_read(cases[i].text, strlen(cases[i].text), "c.yaml", false, &config, &err) == 0)
            fail_msg("'%s' was taken", cases[i].text);
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].want))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].want);
        assert_null(strstr(err.text, "hunter2"));
    }
}

static void
lenient_passes_over_what_is_not_known(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_config struct config config = { 0 };
    static const char text[] = "log: {level: debug}\nvcenter: {host: a, port: 443}\n";
    assert_int_equal(config_read(text, strlen(text), "c.yaml", true, &config, &err), 0);
    assert_string_equal(config.vcenter.host, "a");
    assert_int_equal(config.warnings.n, 2);
    assert_non_null(strstr(config.warnings.items[1], "c.yaml:2: unknown key 'port'"));
}

static void
built_in_defaults(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_config struct config config;
    read_good("", &config);
    assert_int_equal(config_fill_defaults(&config, &err), 0);
    assert_string_equal(config.migration.control_dir, "/var/lib/vm-migrator");
    assert_string_equal(config.migration.specs_dir, "/var/lib/vm-migrator/specs");
    assert_string_equal(config.store, "/var/lib/vm-migrator/vmferry.db");
    assert_int_equal(config.migration.snapshot_quiesce, SPEC_QUIESCE_AUTO);
    assert_int_equal(config.migration.shutdown_mode, SPEC_SHUTDOWN_AUTO);
    assert_int_equal(config.migration.finalize_settle_s, 0);
    assert_int_equal(config.migration.parallel_disks, 4);
    assert_int_equal(config.migration.parallel_vms, 3);
    assert_int_equal(config.limits.disks_per_esxi, 8);
    assert_int_equal(config.limits.bandwidth_bytes_s, 0);
    assert_int_equal(config.virt.run_virt_v2v, TRISTATE_UNSET);
    assert_null(config.cloudstack.endpoint);
    assert_false(config.has_vcenter);

    auto_config struct config second;
    read_good("migration: {control_dir: /x}\nvcenters: {a: {host: b}}\n", &second);
    assert_int_equal(config_fill_defaults(&second, &err), 0);
    assert_string_equal(second.migration.specs_dir, "/x/specs");
    assert_string_equal(second.store, "/x/vmferry.db");
    assert_int_equal(second.vcenters[0].tls.verify, TRISTATE_YES);
    assert_int_equal(second.vcenters[0].nfc_port, 902);
}

static void
endpoints_are_completed(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "cs1", "http://cs1/client/api" },
        { "cs1:8080", "http://cs1:8080/client/api" },
        { "http://cs1", "http://cs1/client/api" },
        { "https://cs1/", "https://cs1/client/api" },
        { "https://cs1/client", "https://cs1/client/api" },
        { "https://cs1/client/api/", "https://cs1/client/api" },
        { "https://cs1/client/api?x=1#y", "https://cs1/client/api" },
        { "https://cs1?x=1", "https://cs1/client/api" },
        { "cs1/api", "http://cs1/api" },
        { "https://cs1/cloud", "https://cs1/cloud/client/api" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        char text[128];
        auto_config struct config config;
        snprintf(text, sizeof text, "cloudstack: {endpoint: '%s'}", cases[i][0]);
        read_good(text, &config);
        for (int times = 0; times < 2; times++) {
            assert_int_equal(config_fill_defaults(&config, &err), 0);
            assert_string_equal(config.cloudstack.endpoint, cases[i][1]);
        }
    }
}

static const char *const *environment;

/* From pairs of name and value. */
static char *
test_getenv(const char *name)
{
    for (size_t i = 0; environment[i]; i += 2)
        if (strcmp(environment[i], name) == 0)
            return (char *)(uintptr_t)environment[i + 1];
    return NULL;
}

static void
the_environment_goes_over_the_config(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const char *const all[] = { "V2C_VCENTER_HOST",
                                       "VC9",
                                       "V2C_VCENTER_USER",
                                       "nine",
                                       "V2C_VCENTER_PASSWORD",
                                       "pw9",
                                       "VC_PASSWORD",
                                       "old",
                                       "V2C_CLOUDSTACK_ENDPOINT",
                                       "cs9",
                                       "V2C_CLOUDSTACK_API_KEY",
                                       "k9",
                                       "V2C_CLOUDSTACK_SECRET_KEY",
                                       "s9",
                                       NULL };
    auto_config struct config config;
    environment = all;
    read_good("vcenter: {host: a, password_file: /nowhere}\ncloudstack: {api_key_env: NONE}\n",
              &config);
    assert_int_equal(config_apply_env(&config, test_getenv, &err), 0);
    assert_int_equal(config_resolve_secrets(&config, test_getenv, &err), 0);
    assert_string_equal(config.vcenter.host, "VC9");
    assert_string_equal(config.vcenter.user, "nine");
    assert_string_equal(config.vcenter.password.value, "pw9");
    assert_null(config.vcenter.password.file);
    assert_string_equal(config.cloudstack.endpoint, "cs9");
    assert_string_equal(config.cloudstack.api_key.value, "k9");
    assert_string_equal(config.cloudstack.secret_key.value, "s9");

    auto_config struct config empty;
    read_good("", &empty);
    assert_int_equal(config_apply_env(&empty, test_getenv, &err), 0);
    assert_string_equal(config_vcenter(&empty, NULL, &err)->host, "VC9");
}

static void
vc_password_is_the_last_resort(void **state)
{
    (void)state;
    static const char *const only[] = { "VC_PASSWORD", "old", "V2C_VCENTER_PASSWORD", "", NULL };
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "vcenter: {host: a}", "old" },
        { "vcenter: {host: a, password: p}", "p" },
        { "vcenters: {x: {host: a}}", "old" },
    };
    environment = only;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_config struct config config;
        read_good(cases[i].text, &config);
        assert_int_equal(config_apply_env(&config, test_getenv, &err), 0);
        assert_string_equal(config_vcenter(&config, NULL, &err)->password.value, cases[i].want);
    }
    struct err err = ERR_INIT;
    auto_config struct config several;
    read_good("vcenters: {x: {host: a}, y: {host: b}}", &several);
    assert_int_equal(config_apply_env(&several, test_getenv, &err), 0);
    assert_null(several.vcenters[0].password.value);
    assert_null(several.vcenters[1].password.value);
}

static void
bad_variables_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *environment[3], *want;
    } cases[] = {
        { { "V2C_VCENTER_HOST", "a b" }, "V2C_VCENTER_HOST: 'a b' is no server" },
        { { "V2C_VCENTER_USER", "a\xff" }, "V2C_VCENTER_USER: it is not UTF-8" },
        { { "V2C_VCENTER_PASSWORD", "hunter2\xff" }, "V2C_VCENTER_PASSWORD: it is not UTF-8" },
        { { "V2C_CLOUDSTACK_ENDPOINT", "a\nb" }, "V2C_CLOUDSTACK_ENDPOINT: it is not UTF-8, or" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_config struct config config;
        environment = cases[i].environment;
        read_good("vcenter: {host: a}", &config);
        assert_int_equal(config_apply_env(&config, test_getenv, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].want))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].want);
        assert_null(strstr(err.text, "hunter2"));
    }
}

static void
write_file(const char *dir, const char *name, const char *text)
{
    struct err err = ERR_INIT;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (file_write_atomic(path, text, strlen(text), 0600, &err) < 0)
        fail_msg("%s", err.text);
}

static void
secrets_come_from_files_variables_and_credentials(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *dir = NULL;
    char text[1024];
    assert_int_equal(dir_make_private(NULL, &dir, &err), 0);
    const char *const variables[] = { "LAB_PASSWORD", "from env", "CREDENTIALS_DIRECTORY", dir,
                                      NULL };
    environment = variables;
    write_file(dir, "plain", "from file\r\nsecond line\n");
    write_file(dir, "vcenter-c-password", "from credential");
    write_file(dir, "vcenter-password", "unnamed\n");
    write_file(dir, "cloudstack-api-key", "ak\n");
    write_file(dir, "cloudstack-secret-key", "sk\n");
    snprintf(text, sizeof text,
             "vcenter: {host: v}\n"
             "vcenters:\n  a: {host: a, password_file: %s/plain}\n"
             "  b: {host: b, password_env: LAB_PASSWORD}\n  c: {host: c}\n  d: {host: d}\n"
             "  e: {host: e, password: ' given '}\n",
             dir);
    auto_config struct config config;
    read_good(text, &config);
    assert_int_equal(config_resolve_secrets(&config, test_getenv, &err), 0);
    assert_string_equal(config.vcenter.password.value, "unnamed");
    assert_string_equal(config.vcenters[0].password.value, "from file");
    assert_null(config.vcenters[0].password.file);
    assert_string_equal(config.vcenters[1].password.value, "from env");
    assert_null(config.vcenters[1].password.env);
    assert_string_equal(config.vcenters[2].password.value, "from credential");
    assert_null(config.vcenters[3].password.value);
    assert_string_equal(config.vcenters[4].password.value, " given ");
    assert_string_equal(config.cloudstack.api_key.value, "ak");
    assert_string_equal(config.cloudstack.secret_key.value, "sk");

    config_wipe(&config);
    assert_null(config.vcenters[0].password.value);
    assert_null(config.cloudstack.secret_key.value);
    assert_string_equal(config.vcenters[0].host, "a");
    assert_int_equal(dir_remove(dir, &err), 0);
}

static void
a_secret_that_cannot_be_had_is_an_error(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *dir = NULL;
    assert_int_equal(dir_make_private(NULL, &dir, &err), 0);
    const char *const variables[] = { "EMPTY", "", NULL };
    environment = variables;
    write_file(dir, "empty", "\nx\n");
    auto_free char *long_text = malloc(8192);
    memset(long_text, 'x', 8191);
    long_text[8191] = '\0';
    write_file(dir, "long", long_text);
    static const struct {
        const char *way, *want;
        enum err_kind kind;
    } cases[] = {
        { "password_env: NONE", "vcenter.password_env: the variable NONE is not set", ERR_INVALID },
        { "password_env: EMPTY", "the variable EMPTY is not set", ERR_INVALID },
        { "password_file: DIR/none", "vcenter.password_file: ", ERR_NOT_FOUND },
        { "password_file: DIR/empty", "no password in its first line", ERR_INVALID },
        { "password_file: DIR/long", "vcenter.password_file: ", ERR_INVALID },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[1024];
        const char *at = strstr(cases[i].way, "DIR");
        snprintf(text, sizeof text, "vcenter: {host: v, %.*s%s%s}",
                 (int)(at ? (size_t)(at - cases[i].way) : strlen(cases[i].way)), cases[i].way,
                 at ? dir : "", at ? at + 3 : "");
        auto_config struct config config;
        read_good(text, &config);
        assert_int_equal(config_resolve_secrets(&config, test_getenv, &err), -1);
        if (!strstr(err.text, cases[i].want))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].want);
        assert_int_equal(err.kind, cases[i].kind);
    }
    assert_int_equal(dir_remove(dir, &err), 0);
}

static void
endpoints_of_vcenters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        unsigned port;
    } cases[] = {
        { "VC.example.org", "vc.example.org", 443 },
        { "vc:8443", "vc", 8443 },
        { "https://vc", "vc", 443 },
        { "HTTPS://vc:1/sdk", "vc", 1 },
        { "https://vc/", "vc", 443 },
        { "10.0.0.1:65535", "10.0.0.1", 65535 },
        { "[FE80::1]", "fe80::1", 443 },
        { "https://[::1]:8989/sdk/", "::1", 8989 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        char host[CONFIG_HOST_MAX];
        unsigned port = 0;
        const struct config_vcenter vcenter = { .host = (char *)(uintptr_t)cases[i].text };
        if (config_vcenter_endpoint(&vcenter, host, &port, &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

static void
a_vcenter_is_found_by_its_name(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_config struct config config;
    read_good("vcenter: {host: own}\nvcenters: {a: {host: ha}, b: {host: hb}}\n", &config);
    assert_string_equal(config_vcenter(&config, NULL, &err)->host, "own");
    assert_string_equal(config_vcenter(&config, "b", &err)->host, "hb");
    assert_null(config_vcenter(&config, "c", &err));
    assert_int_equal(err.kind, ERR_INVALID);
    auto_config struct config one;
    read_good("vcenters: {a: {host: ha}}\n", &one);
    assert_string_equal(config_vcenter(&one, NULL, &err)->host, "ha");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read_and_written),
        cmocka_unit_test(bad_configs_are_refused),
        cmocka_unit_test(lenient_passes_over_what_is_not_known),
        cmocka_unit_test(built_in_defaults),
        cmocka_unit_test(endpoints_are_completed),
        cmocka_unit_test(the_environment_goes_over_the_config),
        cmocka_unit_test(vc_password_is_the_last_resort),
        cmocka_unit_test(bad_variables_are_refused),
        cmocka_unit_test(secrets_come_from_files_variables_and_credentials),
        cmocka_unit_test(a_secret_that_cannot_be_had_is_an_error),
        cmocka_unit_test(endpoints_of_vcenters),
        cmocka_unit_test(a_vcenter_is_found_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
