#include "engine/check-around.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

struct found {
    size_t n;
    struct check_finding list[8];
};

static void
keep(const struct check_finding *finding, void *arg)
{
    struct found *found = arg;
    assert_true(found->n < ARRAY_LEN(found->list));
    assert_true(*finding->what && *finding->cause && *finding->cure && *finding->code);
    found->list[found->n++] = *finding;
}

static void
assert_level(const struct found *found, size_t i, const char *code, enum check_level cold,
             enum check_level warm)
{
    assert_true(i < found->n);
    assert_string_equal(found->list[i].code, code);
    assert_int_equal(found->list[i].level[CHECK_COLD], cold);
    assert_int_equal(found->list[i].level[CHECK_WARM], warm);
}

/* ---- privileges ---- */

static bool
is_in_list(enum check_entity entity, const char *id, void *arg)
{
    bool known = false;
    for (const char *const *each = check_privilege_ids[entity]; *each; each++)
        known = known || strcmp(*each, id) == 0;
    assert_true(known); /* or it would never have been asked for */
    return strstr(arg, id) != NULL;
}

static struct found
judge(const char *lacking, struct check_context context, bool encrypted)
{
    struct found found = { .n = 0 };
    struct check_privileges p = { .encrypted = encrypted,
                                  .transports = CHECK_BY_ANY,
                                  .lacks = is_in_list,
                                  .arg = (char *)lacking };
    check_privileges(&p, &context, keep, &found);
    return found;
}

static void
who_may_all_hears_nothing(void **state)
{
    (void)state;
    struct found found = judge("", (struct check_context){ .snapshot = true }, true);
    assert_int_equal(found.n, 0);
}

static void
one_transport_is_enough(void **state)
{
    (void)state;
    struct found found = judge("Datastore.FileManagement VirtualMachine.Provisioning.GetVmFiles",
                               (struct check_context){ 0 }, false);
    /* Export has all it needs, and does not serve a warm migration. */
    assert_int_equal(found.n, 1);
    assert_level(&found, 0, "privilege", CHECK_INFO, CHECK_ERROR);
    assert_non_null(strstr(found.list[0].what, "for VDDK the user lacks"));
    assert_non_null(
        strstr(found.list[0].what, "for HTTPS the user lacks Datastore.FileManagement"));

    found = judge("Datastore.Browse VirtualMachine.Provisioning.GetVmFiles VApp.Export",
                  (struct check_context){ 0 }, false);
    assert_level(&found, 0, "privilege", CHECK_ERROR, CHECK_ERROR);

    /* Of the two that do either is enough. */
    found = judge("VirtualMachine.Provisioning.GetVmFiles", (struct check_context){ 0 }, false);
    assert_int_equal(found.n, 1);
    assert_level(&found, 0, "privilege", CHECK_INFO, CHECK_INFO);
    found = judge("Datastore.Browse VApp.Export", (struct check_context){ 0 }, false);
    assert_int_equal(found.n, 1);
    assert_level(&found, 0, "privilege", CHECK_INFO, CHECK_INFO);
    found = judge("VirtualMachine.Provisioning.GetVmFiles",
                  (struct check_context){ .transports = CHECK_BY_HTTPS }, false);
    assert_int_equal(found.n, 0);
    found =
        judge("Datastore.Browse", (struct check_context){ .transports = CHECK_BY_HTTPS }, false);
    assert_level(&found, 0, "privilege", CHECK_ERROR, CHECK_ERROR);

    found = judge("VApp.Export", (struct check_context){ .transports = CHECK_BY_EXPORT }, false);
    assert_int_equal(found.n, 1);
    assert_level(&found, 0, "privilege", CHECK_ERROR, CHECK_NONE);
    found = judge("VApp.Export", (struct check_context){ .transports = CHECK_BY_HTTPS }, false);
    assert_int_equal(found.n, 0);
    found = judge("VApp.Export", (struct check_context){ .transports = CHECK_BY_SSH }, false);
    assert_int_equal(found.n, 0);
}

static void
each_purpose_has_its_privileges(void **state)
{
    (void)state;
    struct found found =
        judge("VirtualMachine.State.CreateSnapshot", (struct check_context){ 0 }, false);
    assert_int_equal(found.n, 1);
    assert_level(&found, 0, "privilege", CHECK_NONE, CHECK_ERROR);
    found = judge("VirtualMachine.State.RemoveSnapshot", (struct check_context){ .snapshot = true },
                  false);
    assert_level(&found, 0, "privilege", CHECK_ERROR, CHECK_NONE);
    found = judge("VirtualMachine.Config.ChangeTracking", (struct check_context){ 0 }, false);
    assert_level(&found, 0, "privilege", CHECK_NONE, CHECK_ERROR);
    found = judge("VirtualMachine.Interact.PowerOff", (struct check_context){ 0 }, false);
    assert_int_equal(found.n, 1);
    assert_level(&found, 0, "privilege", CHECK_NONE, CHECK_WARNING);
    assert_int_equal(judge("Cryptographer.Access", (struct check_context){ 0 }, false).n, 0);
    found = judge("Cryptographer.Access", (struct check_context){ 0 }, true);
    assert_level(&found, 0, "privilege", CHECK_ERROR, CHECK_ERROR);
    found = judge("Global.EnableMethods", (struct check_context){ 0 }, false);
    assert_int_equal(found.n, 1);
    assert_level(&found, 0, "privilege", CHECK_INFO, CHECK_INFO);
    assert_int_equal(judge("Global.EnableMethods", (struct check_context){ .esxi = true }, false).n,
                     0);
}

static bool
lacks_all(enum check_entity entity, const char *id, void *arg)
{
    (void)entity;
    (void)id;
    (void)arg;
    return true;
}

static void
who_may_nothing_reads_it_all_in_one_line(void **state)
{
    (void)state;
    struct found found = { .n = 0 };
    struct check_context context = { .snapshot = true, .transports = CHECK_BY_ANY };
    struct check_privileges p = { .encrypted = true,
                                  .transports = CHECK_BY_ANY,
                                  .lacks = lacks_all };
    check_privileges(&p, &context, keep, &found);
    assert_int_equal(found.n, 4);
    assert_level(&found, 0, "privilege", CHECK_ERROR, CHECK_ERROR);
    assert_non_null(strstr(found.list[0].what, "Cryptographer.Decrypt"));
}

/* ---- hosts ---- */

static struct found
judge_host(struct check_host host)
{
    struct found found = { .n = 0 };
    host.name = "esx1";
    check_host(&host, keep, &found);
    for (size_t i = 0; i < found.n; i++)
        assert_string_equal(found.list[i].subject, "esx1");
    return found;
}

static void
a_host_must_be_there(void **state)
{
    (void)state;
    struct found found = judge_host((struct check_host){ .connected = true });
    assert_int_equal(found.n, 0);
    found = judge_host((struct check_host){ .connected = false });
    assert_level(&found, 0, "host-connection", CHECK_ERROR, CHECK_ERROR);
    found = judge_host((struct check_host){ .connected = true, .maintenance = true });
    assert_level(&found, 0, "host-maintenance", CHECK_WARNING, CHECK_ERROR);
    found = judge_host(
        (struct check_host){ .connected = true, .maintenance = true, .only_vddk = true });
    assert_level(&found, 0, "host-maintenance", CHECK_ERROR, CHECK_ERROR);
}

static void
releases_with_a_known_fault(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        uint64_t build, disk;
        enum check_level warm; /* CHECK_NONE: nothing is said */
    } cases[] = {
        { "8.0.3", 24022510, 64 * TIB, CHECK_NONE },
        { "8.0.2", 22380479, GIB, CHECK_WARNING },
        { "8.0.2", 23305546, GIB, CHECK_NONE },
        { "8.0.1", 1, GIB, CHECK_NONE },
        { "7.0.3", 1, GIB, CHECK_NONE },
        { "6.0.0", 3247719, GIB, CHECK_ERROR },
        { "6.0.0", 3247720, GIB, CHECK_NONE },
        { "6.5.0", 1, GIB, CHECK_NONE },
        { "5.5.0", 3248547, 128 * GIB, CHECK_NONE },
        { "5.5.0", 3248547, 128 * GIB + 512, CHECK_ERROR },
        { "4.1.0", 1, TIB, CHECK_ERROR },
        { "nonsense", 1, TIB, CHECK_NONE },
        { NULL, 0, TIB, CHECK_NONE },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct found found = judge_host((struct check_host){ .connected = true,
                                                             .version = cases[i].version,
                                                             .build = cases[i].build,
                                                             .largest_disk_bytes = cases[i].disk });
        print_message("case %zu\n", i);
        assert_int_equal(found.n, cases[i].warm != CHECK_NONE);
        if (found.n)
            assert_level(&found, 0, "cbt-bug", CHECK_NONE, cases[i].warm);
    }
}

static void
what_cannot_be_reached(void **state)
{
    (void)state;
    struct found found = { .n = 0 };
    struct err fine = ERR_INIT, wrong = ERR_INIT;
    err_set(&wrong, ERR_UNAVAILABLE, "esx1:902 (192.0.2.1): refused");
    check_host_reach("esx1", 902, &fine, true, keep, &found);
    assert_int_equal(found.n, 0);
    check_host_reach("esx1", 902, &wrong, true, keep, &found);
    check_host_reach("esx1", 902, &wrong, false, keep, &found);
    check_host_reach("esx1", 443, &wrong, false, keep, &found);
    check_host_reach("esx1", 0, &wrong, true, keep, &found);
    check_host_reach("esx1", 0, &wrong, false, keep, &found);
    assert_level(&found, 0, "host-port", CHECK_ERROR, CHECK_ERROR);
    assert_level(&found, 1, "host-port", CHECK_WARNING, CHECK_WARNING);
    assert_level(&found, 2, "host-port", CHECK_WARNING, CHECK_NONE);
    assert_level(&found, 3, "host-name", CHECK_ERROR, CHECK_ERROR);
    assert_level(&found, 4, "host-name", CHECK_WARNING, CHECK_WARNING);
    assert_string_equal(found.list[0].what, wrong.text);
}

/* ---- the rest ---- */

static void
room_at_the_target(void **state)
{
    (void)state;
    static const struct {
        uint64_t free, capacity, used;
        enum check_level level;
    } cases[] = {
        { 10 * GIB, 10 * GIB, 5 * GIB, CHECK_NONE },
        { 9 * GIB, 10 * GIB, 5 * GIB, CHECK_WARNING },
        { 9 * GIB, 10 * GIB, 0, CHECK_WARNING },
        { 4 * GIB, 10 * GIB, 5 * GIB, CHECK_ERROR },
        { 0, 0, 0, CHECK_NONE },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct found found = { .n = 0 };
        check_target("/images", cases[i].free, cases[i].capacity, cases[i].used, keep, &found);
        assert_int_equal(found.n, cases[i].level != CHECK_NONE);
        if (found.n)
            assert_level(&found, 0, "target-room", cases[i].level, cases[i].level);
    }
}

static void
what_is_missing_here(void **state)
{
    (void)state;
    struct found found = { .n = 0 };
    struct check_context plain = { 0 }, snapshot = { .snapshot = true };
    check_target_unusable("/nope: no such directory", keep, &found);
    check_vddk_unusable("none", false, keep, &found);
    check_vddk_unusable("none", true, keep, &found);
    check_free_licence(&plain, keep, &found);
    check_free_licence(&snapshot, keep, &found);
    assert_level(&found, 0, "target-room", CHECK_ERROR, CHECK_ERROR);
    assert_level(&found, 1, "vddk", CHECK_INFO, CHECK_INFO);
    assert_level(&found, 2, "vddk", CHECK_ERROR, CHECK_ERROR);
    assert_level(&found, 3, "free-licence", CHECK_WARNING, CHECK_ERROR);
    assert_level(&found, 4, "free-licence", CHECK_ERROR, CHECK_ERROR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_all_hears_nothing),
        cmocka_unit_test(one_transport_is_enough),
        cmocka_unit_test(each_purpose_has_its_privileges),
        cmocka_unit_test(who_may_nothing_reads_it_all_in_one_line),
        cmocka_unit_test(a_host_must_be_there),
        cmocka_unit_test(releases_with_a_known_fault),
        cmocka_unit_test(what_cannot_be_reached),
        cmocka_unit_test(room_at_the_target),
        cmocka_unit_test(what_is_missing_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
