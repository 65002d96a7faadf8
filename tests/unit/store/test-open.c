#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "scratch.h"

#define NOBODY 65534

static void
close_store(void)
{
    store_close(store);
    store = NULL;
}

static void
write_file(const char *path, const char *text)
{
    assert_ok(file_write_atomic(path, text, strlen(text), 0600, &err));
}

static void
assert_not_opened(const char *path, enum err_kind kind, const char *words)
{
    struct store *second = NULL;
    assert_fails(store_open(path, &second, &err), kind, words);
    assert_null(second);
}

static void
test_files_are_for_their_owner_alone(void **state)
{
    (void)state;
    char path[300];
    struct stat st;
    mode_t before = umask(0);
    store_reopen();
    close_store();
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s%s", store_path, i ? "-lock" : "");
        unlink(path);
    }
    assert_ok(store_open(store_path, &store, &err));
    assert_ok(create("a", JOB_QUEUED));
    for (int i = 0; i < 4; i++) {
        static const char *const suffixes[] = { "", "-lock", "-wal", "-shm" };
        snprintf(path, sizeof path, "%s%s", store_path, suffixes[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    umask(before);
    assert_int_equal(scratch_number("PRAGMA user_version"), 1);
}

static void
test_durable_by_wal_and_full_sync(void **state)
{
    (void)state;
    char journal_mode[300];
    struct stat st;
    snprintf(journal_mode, sizeof journal_mode, "%s-wal", store_path);
    assert_int_equal(stat(journal_mode, &st), 0);
    close_store();
    assert_int_equal(stat(journal_mode, &st), -1); /* all of it went into the database */
}

static void
test_one_owner(void **state)
{
    (void)state;
    char words[64], other[300];
    snprintf(words, sizeof words, "another vmferryd owns this store (pid %ld)", (long)getpid());
    assert_not_opened(store_path, ERR_CONFLICT, words);
    snprintf(other, sizeof other, "%s/link", scratch_dir);
    assert_int_equal(symlink(store_path, other), 0);
    assert_not_opened(other, ERR_CONFLICT, words);
    assert_ok(create("a", JOB_QUEUED)); /* the first one's is none the worse for it */
    close_store();
    assert_ok(store_open(other, &store, &err));
    assert_int_equal(status_of("a"), JOB_QUEUED);
}

/* What inherits the lock by fork keeps it; a killed owner leaves its pid, but not the lock. */
static void
test_the_lock_dies_with_its_owner(void **state)
{
    (void)state;
    int ready[2];
    char byte, words[64];
    close_store();
    assert_int_equal(pipe(ready), 0);
    pid_t owner = fork();
    assert_true(owner >= 0);
    if (owner == 0) {
        if (store_open(store_path, &store, &err) == 0 && create("a", JOB_QUEUED) == 0 &&
            write(ready[1], "1", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    snprintf(words, sizeof words, "(pid %ld)", (long)owner);
    assert_not_opened(store_path, ERR_CONFLICT, words);
    assert_int_equal(kill(owner, SIGKILL), 0);
    assert_int_equal(waitpid(owner, NULL, 0), owner);
    assert_ok(store_open(store_path, &store, &err));
    assert_int_equal(status_of("a"), JOB_QUEUED);
}

static void
test_refuses_what_is_no_place_for_a_store(void **state)
{
    (void)state;
    char path[300];
    assert_not_opened(scratch_dir, ERR_INVALID, "is not a file");
    assert_not_opened("/dev/null", ERR_INVALID, "/dev/null: is not a file");
    assert_not_opened("", ERR_NOT_FOUND, "find the folder");
    snprintf(path, sizeof path, "%s/no/such.db", scratch_dir);
    assert_not_opened(path, ERR_NOT_FOUND, path);
    snprintf(path, sizeof path, "%s/vmferry.db/x", scratch_dir);
    assert_not_opened(path, ERR_INVALID, path);
    snprintf(path, sizeof path, "%s/dangling", scratch_dir);
    assert_int_equal(symlink("/no/such/place", path), 0);
    assert_not_opened(path, ERR_NOT_FOUND, path);
}

static void
test_refuses_what_is_not_ours(void **state)
{
    (void)state;
    close_store();
    scratch_do("PRAGMA user_version = 99");
    assert_not_opened(store_path, ERR_CONFLICT,
                      "was written by a newer vmferry (its schema is 99, this vmferry knows 1)");
    assert_int_equal(scratch_number("PRAGMA user_version"), 99);
    scratch_do("PRAGMA user_version = 1; PRAGMA application_id = 7");
    assert_not_opened(store_path, ERR_CONFLICT, "is a database of something else");
    unlink(store_path);
    scratch_do("CREATE TABLE moz_places (id INTEGER)");
    assert_not_opened(store_path, ERR_CONFLICT, "is a database of something else");
    assert_int_equal(scratch_number("SELECT count(*) FROM sqlite_schema"), 1);
    write_file(store_path, "# a YAML file that somebody named by mistake, long enough to be looked "
                           "at as a database, which has a header of a hundred bytes.\n");
    assert_not_opened(store_path, ERR_CONFLICT, "is not a database");
}

/* Root may write everywhere, so for a moment we are not root. */
static void
open_as_nobody(mode_t folder, mode_t file, bool with_lock)
{
    struct store *none = NULL;
    bool root = geteuid() == 0;
    char lock[300];
    snprintf(lock, sizeof lock, "%s-lock", store_path);
    if (with_lock)
        assert_int_equal(chmod(lock, 0666), 0);
    else
        unlink(lock);
    assert_int_equal(chmod(store_path, file), 0);
    assert_int_equal(chmod(scratch_dir, folder), 0);
    if (root)
        assert_int_equal(seteuid(NOBODY), 0);
    err = ERR_INIT;
    int r = store_open(store_path, &none, &err);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(scratch_dir, 0700), 0);
    assert_int_equal(r, -1);
}

static void
test_says_what_cannot_be_written(void **state)
{
    (void)state;
    char words[400];
    close_store();
    open_as_nobody(0777, 0444, false);
    assert_int_equal(err.kind, ERR_DENIED);
    snprintf(words, sizeof words, "%s: the store cannot be written", store_path);
    assert_non_null(strstr(err.text, words));
    open_as_nobody(0777, 0000, false);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, store_path));
    open_as_nobody(0555, 0666, true);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_non_null(strstr(err.text, store_path));
    open_as_nobody(0555, 0666, false);
    assert_int_equal(err.kind, ERR_DENIED);
    snprintf(words, sizeof words, "%s-lock: open the lock of the store: Permission denied",
             store_path);
    assert_string_equal(err.text, words);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_files_are_for_their_owner_alone),
        scratch_test(test_durable_by_wal_and_full_sync),
        scratch_test(test_one_owner),
        scratch_test(test_the_lock_dies_with_its_owner),
        scratch_test(test_refuses_what_is_no_place_for_a_store),
        scratch_test(test_refuses_what_is_not_ours),
        scratch_test(test_says_what_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
