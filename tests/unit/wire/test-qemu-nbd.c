#include "wire/qemu-nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

static char *scratch;

static int
make_scratch(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    return dir_make_private(NULL, &scratch, &err);
}

static int
remove_scratch(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    dir_remove(scratch, &err);
    free(TAKE_PTR(scratch));
    return 0;
}

static void
sh(const char *command)
{
    const char *argv[] = { "sh", "-c", command, NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    struct err err = ERR_INIT;
    spec.argv = argv;
    spec.dir = scratch;
    if (proc_run(&spec, clock_now_ns() + 60 * NS_PER_S, NULL, NULL, NULL, &err) < 0)
        fail_msg("%s: %s", command, err.text);
}

static const char *
path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

static void
start(struct qemu_nbd *nbd, const struct qemu_nbd_image *image)
{
    struct err err = ERR_INIT;
    if (qemu_nbd_start(nbd, image, &err) < 0)
        fail_msg("%s", err.text);
}

/* What a client reads: compared by qemu-img, with whichever file of the scratch directory. */
static void
assert_serves(const struct qemu_nbd *nbd, const char *raw_file)
{
    char command[4096];
    snprintf(command, sizeof command,
             "qemu-img compare -q -f raw -F raw 'nbd+unix:///?socket=%s' '%s'", nbd->socket,
             raw_file);
    sh(command);
}

static void
test_raw_and_its_end(void **state)
{
    (void)state;
    struct stat st;
    auto_qemu_nbd struct qemu_nbd nbd = QEMU_NBD_INIT;
    sh("head -c 3M /dev/urandom > disk");
    start(&nbd, &(struct qemu_nbd_image){ .path = path_of("disk"), .format = "raw" });
    assert_int_equal(stat(nbd.dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_serves(&nbd, "disk");
    assert_serves(&nbd, "disk"); /* it stays after the last client */
    pid_t pid = nbd.proc.pid;
    auto_free char *dir = strdup(nbd.dir);
    qemu_nbd_stop(&nbd);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(stat(dir, &st), -1);
    qemu_nbd_stop(&nbd);
}

static void
test_read_only_unless_writable(void **state)
{
    (void)state;
    sh("truncate -s 1M disk");
    for (int writable = 0; writable <= 1; writable++) {
        char command[4096];
        auto_qemu_nbd struct qemu_nbd nbd = QEMU_NBD_INIT;
        start(&nbd, &(struct qemu_nbd_image){
                        .path = path_of("disk"), .format = "raw", .writable = writable });
        snprintf(command, sizeof command,
                 "if qemu-io -f raw -c 'write -P 5 0 4k' 'nbd+unix:///?socket=%s' > out 2>&1;"
                 "then test %d = 1; else test %d = 0; fi",
                 nbd.socket, writable, writable);
        sh(command);
        qemu_nbd_stop(&nbd);
        sh(writable ? "head -c 1 disk | grep -q '\005'" : "! head -c 1 disk | grep -q '\005'");
    }
}

static void
test_hard_names(void **state)
{
    (void)state;
    static const char *const names[] = { "-x,y=z:1 \"q' \\ back.img", "nbd", "json:{}", "a\tb",
                                         "gr\xc3\xbc\xc3\x9f.img" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_qemu_nbd struct qemu_nbd nbd = QEMU_NBD_INIT;
        sh("head -c 1M /dev/urandom > plain");
        char from[4096];
        snprintf(from, sizeof from, "%s", path_of("plain"));
        assert_int_equal(rename(from, path_of(names[i])), 0);
        start(&nbd, &(struct qemu_nbd_image){ .path = path_of(names[i]), .format = "raw" });
        char to[4096];
        snprintf(to, sizeof to, "%s", path_of(names[i]));
        assert_int_equal(rename(to, path_of("plain")), 0);
        assert_serves(&nbd, "plain");
    }
}

/* A streamOptimized VMDK in the middle of another file, as in an OVA: its grain directory is found
 * by the footer, at the end of the window. */
static void
test_window_on_stream_optimized_vmdk(void **state)
{
    (void)state;
    struct stat st;
    sh("{ head -c 5M /dev/urandom; head -c 3M /dev/zero; head -c 1M /dev/urandom; } > disk;"
       "qemu-img convert -O vmdk -o subformat=streamOptimized disk disk.vmdk;"
       "{ head -c 1536 /dev/urandom; cat disk.vmdk; head -c 70000 /dev/urandom; } > box");
    assert_int_equal(stat(path_of("disk.vmdk"), &st), 0);
    auto_qemu_nbd struct qemu_nbd nbd = QEMU_NBD_INIT;
    start(&nbd, &(struct qemu_nbd_image){ .path = path_of("box"),
                                          .format = "vmdk",
                                          .window_offset = 1536,
                                          .window_bytes = (uint64_t)st.st_size });
    assert_serves(&nbd, "disk");
}

static void
assert_refused(const struct qemu_nbd_image *image, enum err_kind kind, const char *words)
{
    struct err err = ERR_INIT;
    struct qemu_nbd nbd = QEMU_NBD_INIT;
    assert_int_equal(qemu_nbd_start(&nbd, image, &err), -1);
    if (err.kind != kind || !strstr(err.text, words))
        fail_msg("%s: %s", err_kind_name(err.kind), err.text);
    assert_null(nbd.dir);
}

static void
test_what_lies_in_a_window_names_no_other_file(void **state)
{
    (void)state;
    struct stat st;
    sh("echo secret > secret; truncate -s 1M secret;"
       "printf '# Disk DescriptorFile\\nversion=1\\nCID=1\\nparentCID=ffffffff\\n"
       "createType=\"monolithicFlat\"\\nRW 2048 FLAT \"%s/secret\" 0\\n' \"$PWD\" > desc.vmdk;"
       "truncate -s 64K desc.vmdk");
    struct qemu_nbd_image image = { .path = path_of("desc.vmdk"), .format = "vmdk" };
    image.window_bytes = 65536;
    assert_refused(&image, ERR_INVALID, "points at other files");
    /* a qcow2 with a backing file is read without it */
    sh("qemu-img create -q -f qcow2 -F raw -b \"$PWD/secret\" trap.qcow2; truncate -s 1M zeroes");
    assert_int_equal(stat(path_of("trap.qcow2"), &st), 0);
    assert_int_not_equal(st.st_size % 512, 0);
    sh("truncate -s %512 trap.qcow2");
    image = (struct qemu_nbd_image){ .path = path_of("trap.qcow2"), .format = "qcow2" };
    image.window_bytes = (uint64_t)st.st_size;
    {
        auto_qemu_nbd struct qemu_nbd nbd = QEMU_NBD_INIT;
        start(&nbd, &image);
        assert_serves(&nbd, "zeroes");
    }
    sh("qemu-img create -q -f qcow2 -o data_file=\"$PWD/secret2\",data_file_raw=on ext.qcow2 1M");
    assert_int_equal(stat(path_of("ext.qcow2"), &st), 0);
    image = (struct qemu_nbd_image){ .path = path_of("ext.qcow2"), .format = "qcow2" };
    image.window_bytes = (uint64_t)st.st_size;
    assert_refused(&image, ERR_INVALID, "in another file");
}

static void
test_another_nbd_server(void **state)
{
    (void)state;
    sh("head -c 1M /dev/urandom > disk");
    auto_qemu_nbd struct qemu_nbd first = QEMU_NBD_INIT;
    auto_qemu_nbd struct qemu_nbd second = QEMU_NBD_INIT;
    start(&first, &(struct qemu_nbd_image){ .path = path_of("disk"), .format = "raw" });
    char uri[4096];
    snprintf(uri, sizeof uri, "nbd+unix:///?socket=%s", first.socket);
    start(&second, &(struct qemu_nbd_image){ .path = uri, .format = "raw" });
    assert_serves(&second, "disk");
    qemu_nbd_stop(&second);
}

static void
test_failures_say_why(void **state)
{
    (void)state;
    sh("truncate -s 1M disk");
    assert_refused(&(struct qemu_nbd_image){ .path = path_of("absent"), .format = "raw" },
                   ERR_NOT_FOUND, "absent");
    assert_refused(&(struct qemu_nbd_image){ .path = path_of("disk"), .format = "qcow2" },
                   ERR_INVALID, "Image is not in qcow2 format");
    assert_refused(&(struct qemu_nbd_image){ .path = path_of("disk"), .format = "floppy" },
                   ERR_INVALID, "floppy");
    /* somebody writes to it */
    sh("qemu-img create -q -f qcow2 image 1M");
    auto_qemu_nbd struct qemu_nbd nbd = QEMU_NBD_INIT;
    start(&nbd, &(struct qemu_nbd_image){
                    .path = path_of("image"), .format = "qcow2", .writable = true });
    assert_refused(&(struct qemu_nbd_image){ .path = path_of("image"), .format = "qcow2" },
                   ERR_CONFLICT, "lock");
}

static void
test_sixteen_clients_at_once(void **state)
{
    (void)state;
    int fds[16];
    sh("truncate -s 1M disk");
    auto_qemu_nbd struct qemu_nbd nbd = QEMU_NBD_INIT;
    start(&nbd, &(struct qemu_nbd_image){ .path = path_of("disk"), .format = "raw" });
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", nbd.socket);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        char magic[8] = "";
        struct timeval limit = { .tv_sec = 20 };
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&addr, sizeof addr), 0);
        assert_int_equal(recv(fds[i], magic, sizeof magic, MSG_WAITALL), 8);
        assert_memory_equal(magic, "NBDMAGIC", 8);
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_scratch, remove_scratch)
    const struct CMUnitTest tests[] = {
        TEST(test_raw_and_its_end),
        TEST(test_read_only_unless_writable),
        TEST(test_hard_names),
        TEST(test_window_on_stream_optimized_vmdk),
        TEST(test_what_lies_in_a_window_names_no_other_file),
        TEST(test_another_nbd_server),
        TEST(test_failures_say_why),
        TEST(test_sixteen_clients_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
