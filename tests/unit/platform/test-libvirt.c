/* -o libvirt against libvirt's own test driver, which keeps what is done to it as long as one
 * connection of this process is open. tests/behaviour/test_libvirt.py has a real libvirtd. */
#include "platform/platform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <libvirt/libvirt.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/fd.h"
#include "platform/libvirt-call.h"
#include "platform/libvirt.h"

#define URI "test:///default"
#define UUID "42100000-0000-4000-8000-00000000000a"

/* A machine to be defined, and a pool whose directory is there. */
struct scene {
    virConnectPtr conn; /* keeps the test driver's world */
    char *dir;
    char xml[256];
    struct placement placement;
};

static struct scene scene;

static void
write_xml(const char *id)
{
    char text[1024];
    struct err err = ERR_INIT;
    int n = snprintf(text, sizeof text,
                     "<domain type='test'><name>web 01 \xc3\xbc</name><uuid>" UUID "</uuid>"
                     "<metadata><vmferry:migration xmlns:vmferry='%s' id='%s'/></metadata>"
                     "<memory>1024</memory><os><type>hvm</type></os></domain>",
                     platform_libvirt.mark_ns, id);
    assert_int_equal(file_write_atomic(scene.xml, text, (size_t)n, 0600, &err), 0);
}

static int
setup(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char pool[512];
    scene.conn = virConnectOpen(URI);
    if (!scene.conn || dir_make_private(NULL, &scene.dir, &err) < 0)
        return -1;
    snprintf(pool, sizeof pool,
             "<pool type='dir'><name>files</name><target><path>%s</path></target></pool>",
             scene.dir);
    virStoragePoolPtr made = virStoragePoolCreateXML(scene.conn, pool, 0);
    if (!made)
        return -1;
    virStoragePoolFree(made);
    snprintf(scene.xml, sizeof scene.xml, "%s/domain.xml", scene.dir);
    scene.placement = (struct placement){
        .dir = scene.dir,
        .name = "web 01 \xc3\xbc",
        .uuid = UUID,
        .id = "4f1c0a9be2d7",
        .made_xml = scene.xml,
        .host = { .uri = URI, .pool = "files", .n_networks = 1, .networks = { "default" } },
    };
    write_xml(scene.placement.id);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    virConnectClose(scene.conn);
    int r = dir_remove(scene.dir, &err);
    free(scene.dir);
    return r;
}

static struct platform_look
look(void)
{
    struct platform_look is = { .there = false };
    struct err err = ERR_INIT;
    assert_int_equal(platform_libvirt.look(&scene.placement, &is, &err), 0);
    return is;
}

static void
refused(int (*op)(const struct placement *, struct err *), enum err_kind kind, const char *words)
{
    struct err err = ERR_INIT;
    assert_int_equal(op(&scene.placement, &err), -1);
    assert_string_equal(err_kind_name(err.kind), err_kind_name(kind));
    if (!strstr(err.text, words))
        fail_msg("'%s' is not in '%s'", words, err.text);
}

static void
a_machine_is_defined_once_and_started_once(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(platform_libvirt.check(&scene.placement, &err), 0);
    assert_false(look().there);
    refused(platform_libvirt.start, ERR_NOT_FOUND, "is not in this libvirt");
    for (int i = 0; i < 2; i++) /* the second time as after a crash before it was noted */
        assert_int_equal(platform_libvirt.define(&scene.placement, &err), 0);
    struct platform_look is = look();
    assert_true(is.there && is.ours && !is.running && !is.started);
    assert_int_equal(platform_libvirt.check(&scene.placement, &err), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(platform_libvirt.start(&scene.placement, &err), 0);
    is = look();
    assert_true(is.running && is.started);
    refused(platform_libvirt.undo, ERR_CONFLICT, "runs");

    virDomainPtr domain = virDomainLookupByName(scene.conn, scene.placement.name);
    assert_non_null(domain);
    assert_int_equal(virDomainDestroy(domain), 0);
    virDomainFree(domain);
    assert_int_equal(platform_libvirt.start(&scene.placement, &err), 0);
    is = look();
    assert_true(is.started && !is.running);
}

static void
a_strangers_machine_is_left_alone(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(platform_libvirt.define(&scene.placement, &err), 0);
    const char *const others[] = { "000000000000", NULL };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        scene.placement.id = others[i];
        assert_true(look().there && !look().ours);
        refused(platform_libvirt.check, ERR_CONFLICT, "another name");
        refused(platform_libvirt.start, ERR_CONFLICT, "not made by this migration");
        assert_int_equal(platform_libvirt.undo(&scene.placement, &err), 0);
        assert_true(look().there && !look().running);
    }
    refused(platform_libvirt.define, ERR_BUG, "no id");
    scene.placement.id = others[0];
    refused(platform_libvirt.define, ERR_CONFLICT, "another name");
    /* The same UUID under another name is the same machine, moved before. */
    scene.placement.name = "other";
    refused(platform_libvirt.check, ERR_CONFLICT, UUID);
    /* One that nobody marked. */
    scene.placement.name = "test";
    scene.placement.uuid = NULL;
    refused(platform_libvirt.check, ERR_CONFLICT, "'test'");
}

static void
ours_is_known_after_it_was_renamed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(platform_libvirt.define(&scene.placement, &err), 0);
    scene.placement.name = "web01";
    assert_true(look().ours);
    assert_int_equal(platform_libvirt.define(&scene.placement, &err), 0);
    assert_int_equal(platform_libvirt.start(&scene.placement, &err), 0);
}

static void
a_pool_gives_its_directory(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char *dir = NULL;
    struct placement *p = &scene.placement;
    assert_int_equal(platform_libvirt.find_dir(p, &dir, &err), 0);
    assert_string_equal(dir, scene.dir);
    free(dir);
    assert_int_equal(platform_libvirt.check_dir(p, &err), 0);

    p->host.pool = "none such";
    assert_int_equal(platform_libvirt.find_dir(p, &dir, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "'none such'"));
    assert_non_null(strstr(err.text, "files"));
    refused(platform_libvirt.check, ERR_NOT_FOUND, "'none such'");

    p->host.pool = "default-pool";
    p->dir = "/default-pool";
    refused(platform_libvirt.check_dir, ERR_NOT_FOUND, "pool 'default-pool': /default-pool");
    virStoragePoolPtr pool = virStoragePoolLookupByName(scene.conn, p->host.pool);
    assert_int_equal(virStoragePoolDestroy(pool), 0);
    refused(platform_libvirt.check, ERR_CONFLICT, "virsh pool-start");
    virStoragePoolFree(pool);
}

static void
networks_must_be_there_and_active(void **state)
{
    (void)state;
    struct placement *p = &scene.placement;
    p->host.networks[p->host.n_networks++] = "VM Network";
    refused(platform_libvirt.check, ERR_NOT_FOUND, "'VM Network'");
    p->host.networks[1] = "default";
    struct err err = ERR_INIT;
    assert_int_equal(platform_libvirt.check(p, &err), 0);
    virNetworkPtr network = virNetworkLookupByName(scene.conn, "default");
    assert_int_equal(virNetworkDestroy(network), 0);
    refused(platform_libvirt.check, ERR_CONFLICT, "virsh net-start");
    virNetworkFree(network);
}

static void
a_description_that_libvirt_refuses(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(file_write_atomic(scene.xml, "<domain>", 8, 0600, &err), 0);
    refused(platform_libvirt.define, ERR_INVALID, "define it");
    assert_false(look().there);
}

static void
the_doctor_sees_pools(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct libvirt_survey survey;
    assert_int_equal(libvirt_survey_make(URI, &survey, &err), 0);
    assert_string_equal(survey.uri, URI);
    assert_false(survey.kvm);
    assert_true(survey.version >= 5000000);
    assert_int_equal(survey.n_pools, 2);
    for (size_t i = 0; i < survey.n_pools; i++)
        if (strcmp(survey.pools[i].name, "files") == 0)
            assert_null(survey.pools[i].why);
        else
            assert_string_equal(survey.pools[i].why, "its directory is not there");
    libvirt_survey_free(&survey);
}

static int
say_nothing(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    (void)conn;
    (void)request;
    return err_set(err, ERR_BUG, "this libvirt should not have answered");
}

/* A socket that takes connections and says nothing, as of a daemon that is stopped. */
static void
a_libvirt_that_hangs_is_given_up(void **state)
{
    (void)state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char uri[512];
    struct err err = ERR_INIT;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", scene.dir);
    snprintf(uri, sizeof uri, "qemu+unix:///system?socket=%s", address.sun_path);
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    struct libvirt_call *call = NULL;
    assert_int_equal(libvirt_call_new(uri, &scene.placement, &call, &err), 0);
    assert_int_equal(libvirt_call_run(call, NS_PER_S / 5, say_nothing, &err), -1);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "does not answer"));
    libvirt_call_free(call);
}

static void
nobody_there(void **state)
{
    (void)state;
    scene.placement.host.uri = "qemu+unix:///system?socket=/nowhere/sock";
    refused(platform_libvirt.check, ERR_UNAVAILABLE, "start its daemon");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_machine_is_defined_once_and_started_once),
        CASE(a_strangers_machine_is_left_alone),
        CASE(ours_is_known_after_it_was_renamed),
        CASE(a_pool_gives_its_directory),
        CASE(networks_must_be_there_and_active),
        CASE(a_description_that_libvirt_refuses),
        CASE(the_doctor_sees_pools),
        CASE(nobody_there),
        CASE(a_libvirt_that_hangs_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
