#include "wire/nbdkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"

#include "../path-program.h"

/* A program called nbdkit, first in PATH: without its ssh plugin the real one serves a pattern, in
 * which each 8 bytes are their own offset. */
static void
have_nbdkit(const char *script)
{
    path_program_make("nbdkit", script);
}

static const struct ssh_host host = {
    .host = "h", .port = 2222, .user = "ann", .password = "pass"
};

static void
the_first_bytes_and_the_size_are_read(void **state)
{
    (void)state;
    if (access("/usr/bin/nbdkit", X_OK) < 0)
        skip();
    char script[1024], said[512];
    uint8_t head[512];
    auto_free char *text = NULL;
    size_t len;
    struct err err = ERR_INIT;
    snprintf(script, sizeof script,
             "echo \"$@\" > %s/words; cat <&3 >> %s/words\n"
             "exec /usr/bin/nbdkit \"$1\" \"$2\" \"$3\" \"$4\" \"$5\" pattern 1000000",
             path_dir, path_dir);
    have_nbdkit(script);
    struct nbdkit kit = NBDKIT_INIT;
    if (nbdkit_ssh_start(&kit, &host, "/a disk", head, sizeof head, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(kit.bytes, 1000000);
    for (size_t i = 0; i < sizeof head; i += 8) {
        assert_int_equal(head[i + 7], i & 0xff);
        assert_int_equal(head[i + 6], i >> 8);
    }
    nbdkit_last_words(&kit, said);
    assert_string_equal(said, "");
    assert_int_equal(access(kit.socket, F_OK), 0);
    auto_free char *socket = strdup(kit.socket);
    nbdkit_stop(&kit);
    assert_int_equal(access(socket, F_OK), -1);
    snprintf(script, sizeof script, "%s/words", path_dir);
    assert_int_equal(file_read(script, 4096, &text, &len, &err), 0);
    assert_non_null(strstr(text, "ssh host=h path=/a disk port=2222 user=ann password=-3\npass"));
}

static void
a_short_file_is_padded(void **state)
{
    (void)state;
    if (access("/usr/bin/nbdkit", X_OK) < 0)
        skip();
    uint8_t head[64];
    struct err err = ERR_INIT;
    auto_nbdkit struct nbdkit kit = NBDKIT_INIT;
    have_nbdkit("exec /usr/bin/nbdkit \"$1\" \"$2\" \"$3\" \"$4\" \"$5\" data '1 2 3'");
    memset(head, 0xff, sizeof head);
    assert_int_equal(nbdkit_ssh_start(&kit, &host, "/x", head, sizeof head, &err), 0);
    assert_int_equal(kit.bytes, 3);
    assert_memory_equal(head, "\1\2\3\0\0\0\0\0", 8);
}

static void
its_words_become_the_error(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum err_kind kind;
        const char *said;
    } cases[] = {
        { "echo 'nbdkit: ssh[1]: error: all possible authentication methods failed' >&2; exit 1",
          ERR_DENIED, "h:/x: nbdkit could not open it by SSH: all possible authentication" },
        { "echo 'nbdkit: error: host key is not known' >&2; exit 1", ERR_DENIED, "host key" },
        { "echo 'nbdkit: error: first' >&2; echo 'nbdkit: error: connection refused' >&2; exit 1",
          ERR_UNAVAILABLE, "by SSH: connection refused" },
        { "exit 3", ERR_UNAVAILABLE, "exit status 3" },
        { "exec /usr/bin/nbdkit \"$1\" \"$2\" \"$3\" \"$4\" \"$5\" sh - <<'END'\n"
          "case $1 in open) echo no such thing >&2; exit 1;; get_size) echo 1;; *) exit 2;; esac\n"
          "END",
          ERR_UNAVAILABLE, "no such thing" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t head[8];
        struct err err = ERR_INIT;
        auto_nbdkit struct nbdkit kit = NBDKIT_INIT;
        have_nbdkit(cases[i].script);
        assert_int_equal(nbdkit_ssh_start(&kit, &host, "/x", head, sizeof head, &err), -1);
        if (err.kind != cases[i].kind || !strstr(err.text, cases[i].said))
            fail_msg("%s: '%s' is not in '%s'", err_kind_name(err.kind), cases[i].said, err.text);
        assert_null(kit.dir);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_bytes_and_the_size_are_read),
        cmocka_unit_test(a_short_file_is_padded),
        cmocka_unit_test(its_words_become_the_error),
    };
    return cmocka_run_group_tests(tests, path_program_setup, path_program_teardown);
}
