#include "engine/ssh-command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"

#include "../path-program.h"

/* A program called ssh that does as the case says, first in PATH. */
static void
have_ssh(const char *script)
{
    path_program_make("ssh", script);
}

static int
run(const struct ssh_host *host, struct buf *out, struct err *err)
{
    struct ssh_command command = { .host = host, .command = "true" };
    *err = ERR_INIT;
    return ssh_command_run(&command, out, err);
}

static void
words_are_quoted_for_a_shell(void **state)
{
    (void)state;
    static const struct {
        const char *text, *quoted;
    } cases[] = { { "web", "'web'" },
                  { "", "''" },
                  { "a b;$(c)", "'a b;$(c)'" },
                  { "it's", "'it'\\''s'" },
                  { "-x\n", "'-x\n'" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf out = BUF_INIT(64);
        struct err err = ERR_INIT;
        assert_int_equal(ssh_quote(cases[i].text, &out, &err), 0);
        assert_string_equal(out.data, cases[i].quoted);
    }
}

static void
it_is_called_so_that_it_never_asks(void **state)
{
    (void)state;
    const struct ssh_host host = {
        .host = "h", .port = 2222, .user = "ann", .identity = "/k", .known_hosts = "/tmp/a b%c"
    };
    auto_buf struct buf out = BUF_INIT(8192);
    struct err err;
    have_ssh("for word; do echo \"[$word]\"; done");
    assert_int_equal(run(&host, &out, &err), 0);
    for (const char *const *word =
             (const char *const[]){ "[-n]", "[BatchMode=yes]", "[StrictHostKeyChecking=yes]",
                                    "[-p]\n[2222]", "[-l]\n[ann]", "[-i]\n[/k]",
                                    "[UserKnownHostsFile=\"/tmp/a b%%c\"]", "[--]\n[h]\n[true]",
                                    NULL };
         *word; word++)
        if (!strstr(out.data, *word))
            fail_msg("'%s' is not in '%s'", *word, out.data);
}

static void
its_words_become_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum err_kind kind;
        const char *said;
    } cases[] = {
        { "echo 'Host key verification failed.' >&2; exit 255", ERR_DENIED, "is not known here" },
        { "echo 'root@h: Permission denied (publickey).' >&2; exit 255", ERR_DENIED,
          "does not let this user in" },
        { "echo 'ssh: connect to host h port 22: Connection refused' >&2; exit 255",
          ERR_UNAVAILABLE, "not reached by SSH: ssh: connect" },
        { "echo 'error: failed to get domain' >&2; exit 1", ERR_NOT_FOUND,
          "h: error: failed to get domain" },
    };
    const struct ssh_host host = { .host = "h" };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf out = BUF_INIT(8192);
        struct err err;
        have_ssh(cases[i].script);
        assert_int_equal(run(&host, &out, &err), -1);
        assert_int_equal(err.kind, cases[i].kind);
        if (!strstr(err.text, cases[i].said))
            fail_msg("'%s' is not in '%s'", cases[i].said, err.text);
    }
}

static void
an_endless_answer_is_refused(void **state)
{
    (void)state;
    const struct ssh_host host = { .host = "h" };
    auto_buf struct buf out = BUF_INIT(1000);
    struct err err;
    have_ssh("head -c 5000 /dev/zero | tr '\\0' x; echo");
    assert_int_equal(run(&host, &out, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "too long"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_quoted_for_a_shell),
        cmocka_unit_test(it_is_called_so_that_it_never_asks),
        cmocka_unit_test(its_words_become_a_sentence),
        cmocka_unit_test(an_endless_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, path_program_setup, path_program_teardown);
}
