#include "platform/cloudstack-sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"
#include "base/cleanup.h"

#define API_KEY "mZ7-Kq_A1bTestKeyForVectors00"
#define SECRET "Sx9-TestSecret_ForVectors-7f3Q"
#define MAX_PARAMS 32

/* Made with OpenSSL's HMAC, and with the server's own rule in a JDK. */
static const struct vector {
    const char *canonical; /* or NULL */
    const char *signature;
    const char *secret; /* NULL: SECRET, and the key is added */
    struct cloudstack_param params[MAX_PARAMS];
} vectors[] = {
    { "apikey=mz7-kq_a1btestkeyforvectors00&command=listzones&response=json",
      "DekrrmyKr0EVA4Rp2p4ux5XT5bI=",
      NULL,
      { { "command", "listZones" } } },
    { "apikey=mz7-kq_a1btestkeyforvectors00&available=true&command=listzones&expires=2026-11-20t10%"
      "3a15%3a00%2b0000&response=json&signatureversion=3",
      "dMPGQ5jav0uE72AOG5MRYFAQ3SI=",
      NULL,
      { { "command", "listZones" },
        { "available", "true" },
        { "signatureVersion", "3" },
        { "expires", "2026-11-20T10:15:00+0000" } } },
    { "apikey=mz7-kq_a1btestkeyforvectors00&clusterid=362f4ccb-75a5-4054-82a0-f1f3adb348ea&command="
      "importvm&details[0].uefi=legacy&details[0].cpunumber=2&details[0].memory=2048&details[0]."
      "rootdiskcontroller=virtio&diskpath=web01-disk0.qcow2&displayname=web%2001%20%28qa%29%20*%"
      "20a%7eb%2bc%2fd%20%c3%a9&expires=2026-11-20t10%3a15%3a00%2b0000&hypervisor=kvm&importsource="
      "shared&name=web01&networkid=320688c8-e81e-4488-a5ad-0341ffe32879&response=json&"
      "serviceofferingid=2ce350ae-0ee5-4e9f-aae8-973ab7e94826&signatureversion=3&storageid="
      "76b0752f-e004-456e-8ded-2f92b2845c28&zoneid=cef2f153-1155-46a5-98ac-a24000000001",
      "68w1zdy7kSWKHwF/uEJpcLupVhE=",
      NULL,
      { { "command", "importVm" },
        { "signatureVersion", "3" },
        { "expires", "2026-11-20T10:15:00+0000" },
        { "zoneid", "cef2f153-1155-46a5-98ac-a24000000001" },
        { "clusterid", "362f4ccb-75a5-4054-82a0-f1f3adb348ea" },
        { "hypervisor", "KVM" },
        { "importsource", "shared" },
        { "storageid", "76b0752f-e004-456e-8ded-2f92b2845c28" },
        { "diskpath", "web01-disk0.qcow2" },
        { "networkid", "320688c8-e81e-4488-a5ad-0341ffe32879" },
        { "serviceofferingid", "2ce350ae-0ee5-4e9f-aae8-973ab7e94826" },
        { "name", "web01" },
        { "displayname", "Web 01 (QA) * a~b+c/d \xc3\xa9" },
        { "details[0].UEFI", "LEGACY" },
        { "details[0].rootDiskController", "virtio" },
        { "details[0].cpuNumber", "2" },
        { "details[0].memory", "2048" } } },
    { NULL,
      "nBZ+Jc2p8azJLdSkzgfht5y63G8=",
      NULL,
      { { "command", "importVm" },
        { "signatureVersion", "3" },
        { "expires", "2026-11-20T10:15:00+0000" },
        { "zoneid", "cef2f153-1155-46a5-98ac-a24000000001" },
        { "clusterid", "362f4ccb-75a5-4054-82a0-f1f3adb348ea" },
        { "hypervisor", "KVM" },
        { "importsource", "shared" },
        { "storageid", "76b0752f-e004-456e-8ded-2f92b2845c28" },
        { "diskpath", "web01-disk0.qcow2" },
        { "networkid", "320688c8-e81e-4488-a5ad-0341ffe32879" },
        { "serviceofferingid", "2ce350ae-0ee5-4e9f-aae8-973ab7e94826" },
        { "name", "web01" },
        { "displayname", "Web 01 (QA) * ab+c/d \xc3\xa9" },
        { "details[0].UEFI", "LEGACY" },
        { "details[0].rootDiskController", "virtio" },
        { "details[0].cpuNumber", "2" },
        { "details[0].memory", "2048" } } },
    { NULL,
      "OaId8eJfVSyI9rIac7zw7wOGohI=",
      NULL,
      { { "command", "listHosts" }, { "name", "a b" } } },
    { NULL,
      "Eomqnm0XP0UQBF7VWAFUB4UmDjU=",
      NULL,
      { { "command", "listHosts" }, { "name", "a~b" } } },
    { NULL,
      "kKCrHCxF/ZcYPqAID1tgqKAumHk=",
      NULL,
      { { "command", "listHosts" }, { "name", "[x]*" } } },
    { NULL, "nLTdWOYWAA+lkV8IkZRI7Z3dadA=", NULL, { { "command", "listHosts" }, { "name", "" } } },
    { NULL,
      "Dzj1s+forP1JDRQwReYZBmHywjs=",
      NULL,
      { { "command", "updateVirtualMachine" },
        { "id", "11111111-2222-3333-4444-555555555555" },
        { "details[0].cpuNumber", "2" },
        { "details[0].UEFI", "SECURE" } } },
    { NULL,
      "TTpdDq/7j/J58XCRHomKoQXEQds=",
      "VDaACYb0LV9eNjTetIOElcVQkvJck_J_QljX_FcHRj87ZKiy0z0ty0ZsYBkoXkY9b7eq1EhwJaw7FF3akA3KBQ",
      { { "command", "listUsers" },
        { "response", "json" },
        { "apikey",
          "plgWJfZK4gyS3mOMTVmjUVg-X-jlWlnfaUJ9GAbBbf9EdM-kAYMmAiLqzzq1ElZLYq_u38zCm0bewzGUdP66"
          "mg" } } },
};

static void
vectors_are_signed_as_the_server_signs_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *vector = &vectors[i];
        struct cloudstack_param params[MAX_PARAMS + 2];
        char signature[CLOUDSTACK_SIGNATURE_MAX];
        struct err err = ERR_INIT;
        auto_buf struct buf canonical = BUF_INIT(65536);
        size_t n = 0;
        for (; n < MAX_PARAMS && vector->params[n].name; n++)
            params[n] = vector->params[n];
        if (!vector->secret) {
            params[n++] = (struct cloudstack_param){ "response", "json" };
            params[n++] = (struct cloudstack_param){ "apiKey", API_KEY };
        }
        const char *secret = vector->secret ? vector->secret : SECRET;
        assert_int_equal(cloudstack_sign(params, n, secret, signature, &err), 0);
        assert_string_equal(signature, vector->signature);
        assert_int_equal(cloudstack_canonical(params, n, &canonical, &err), 0);
        if (vector->canonical)
            assert_string_equal(canonical.data, vector->canonical);
    }
}

static void
order_is_that_of_bytes(void **state)
{
    (void)state;
    struct cloudstack_param params[] = {
        { "name", "x" }, { "details[2].x", "b" }, { "Zone", "z" }, { "details[10].x", "a" }
    };
    struct err err = ERR_INIT;
    auto_buf struct buf canonical = BUF_INIT(1024);
    assert_int_equal(cloudstack_canonical(params, ARRAY_LEN(params), &canonical, &err), 0);
    assert_string_equal(canonical.data, "zone=z&details[10].x=a&details[2].x=b&name=x");
}

static void
every_octet_is_encoded_as_java_does(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf struct buf text = BUF_INIT(1024);
    assert_int_equal(cloudstack_encode("aZ09.-*_~ !'()@/:;,+=&?#[]\xc3\xa9", &text, &err), 0);
    assert_string_equal(text.data, "aZ09.-*_%7E%20%21%27%28%29%40%2F%3A%3B%2C%2B%3D%26%3F%23%5B%5D"
                                   "%C3%A9");
}

static void
what_the_server_chokes_on_is_refused(void **state)
{
    (void)state;
    char signature[CLOUDSTACK_SIGNATURE_MAX];
    static char long_name[CLOUDSTACK_NAME_MAX + 1], long_value[CLOUDSTACK_VALUE_MAX + 1];
    memset(long_name, 'a', CLOUDSTACK_NAME_MAX);
    memset(long_value, 'a', CLOUDSTACK_VALUE_MAX);
    static const struct {
        struct cloudstack_param params[2];
        enum err_kind kind;
        const char *text;
    } bad[] = {
        { { { "a", "x\ny" }, { "b", "" } }, ERR_INVALID, "control character" },
        { { { "a", "x" }, { "a", "y" } }, ERR_BUG, "twice" },
        { { { long_name, "x" }, { "b", "y" } }, ERR_INVALID, "too long" },
        { { { "a", "x" }, { "b", long_value } }, ERR_INVALID, "too long" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        struct cloudstack_param params[] = { bad[i].params[0], bad[i].params[1] };
        assert_int_equal(cloudstack_sign(params, 2, SECRET, signature, &err), -1);
        assert_int_equal(err.kind, bad[i].kind);
        assert_non_null(strstr(err.text, bad[i].text));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_signed_as_the_server_signs_them),
        cmocka_unit_test(order_is_that_of_bytes),
        cmocka_unit_test(every_octet_is_encoded_as_java_does),
        cmocka_unit_test(what_the_server_chokes_on_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
