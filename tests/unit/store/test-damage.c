/* A database that was damaged gives errors that name it, whatever is damaged: no crash, no endless
 * loop, and nothing that claims that we have a mistake. */
#include <sys/stat.h>

#include "base/checked.h"
#include "scratch.h"

#define ROUNDS 400
#define MIGRATIONS 12

static uint64_t seed;
static unsigned n_failed, n_opened;

static uint64_t
random_below(uint64_t limit)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % limit;
}

static void
fill(void)
{
    static char value[6000];
    int64_t fence, n;
    memset(value, 'v', sizeof value - 1);
    value[0] = value[sizeof value - 2] = '"';
    const struct store_disk disk = { 2000, "scsi0:0", 1 << 30, "/images/a" };
    const struct store_round_disk moved = { .key = 2000, .why = "first" };
    const struct store_op ops[] = {
        { STORE_PUT, .put = { "version", "1" } },
        { STORE_PUT, .put = { "large", value } },
        { STORE_MACHINE, .machine = { .host = "esx1", .disks = &disk, .n_disks = 1 } },
        { STORE_ROUND, .round = { 0, "base", 5, 1.5, &moved, 1 } },
        { STORE_OBJECT, .object = { NULL, "snapshot", "vmferry-1", STORE_OBJECT_MADE, "{}" } },
    };
    for (int i = 0; i < MIGRATIONS; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        assert_ok(create(id, JOB_RUNNING));
        assert_ok(store_journal(store, id, 1, ops, ARRAY_LEN(ops), 5, &fence, &err));
        const struct store_event event = { .migration = id, .level = "info", .text = "text" };
        for (int k = 0; k < 20; k++)
            assert_ok(store_event_add(store, &event, &n, &err));
        if (i % 2)
            set_status(id, JOB_DONE, 9);
    }
    assert_ok(store_setting_put(store, "limits", "{}", &err));
}

static int
take_migration(const struct store_migration *m, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    return strlen(m->key) > 0 ? 0 : -1;
}

static int
take_disk(const struct store_disk *disk, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    return strlen(disk->label) < STORE_TEXT_MAX ? 0 : -1;
}

static int
take_round(const struct store_round *round, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    return strlen(round->kind) < STORE_TEXT_MAX ? 0 : -1;
}

static int
take_object(const struct store_object *object, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    return strlen(object->kind) + strlen(object->name) < STORE_TEXT_MAX ? 0 : -1;
}

static int
take_event(const struct store_event *event, void *arg, struct err *e)
{
    (void)arg;
    (void)e;
    return strlen(event->level) + strlen(event->text) < STORE_TEXT_MAX ? 0 : -1;
}

/* Each way of a call to fail: of the kinds that a damage may have, and the file is named. Or it is
 * another migration's, gone or changed: an id or a fence is as good a byte to damage as any. */
static void
allow(int r)
{
    if (r == 0)
        return;
    n_failed++;
    bool told = (err.kind == ERR_IO && strstr(err.text, store_path)) || err.kind == ERR_NOT_FOUND ||
                err.kind == ERR_CONFLICT || err.kind == ERR_INVALID;
    if (!told)
        fail_msg("%d: %s", (int)err.kind, err.text);
    err = ERR_INIT;
}

static void
use(const char *id)
{
    auto_migration struct store_migration m = { 0 };
    int64_t fence, n;
    const struct store_op op = { STORE_PUT, .put = { "version", "2" } };
    const struct store_change change = { .has_attempt = true, .attempt = 1 };
    const struct store_event event = { .migration = id, .level = "info", .text = "more" };
    allow(store_migration_get(store, id, &m, &err));
    allow(store_disks(store, id, take_disk, NULL, &err));
    allow(store_rounds(store, id, take_round, NULL, &err));
    allow(store_objects(store, id, take_object, NULL, &err));
    allow(store_events(store, id, 0, 0, take_event, NULL, &err));
    allow(store_journal(store, id, m.fence, &op, 1, 10, &fence, &err));
    allow(store_migration_update(store, id, m.fence + 1, &change, 10, &fence, &err));
    allow(store_event_add(store, &event, &n, &err));
}

static void
use_all(void)
{
    const struct store_filter all = { 0 };
    const struct store_filter running = { .statuses = 1u << JOB_RUNNING, .name = "m*" };
    uint64_t counts[N_JOB_STATUS];
    allow(store_migration_list(store, &all, take_migration, NULL, &err));
    allow(store_migration_list(store, &running, take_migration, NULL, &err));
    allow(store_migration_count(store, counts, &err));
    for (int i = 0; i < MIGRATIONS; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        use(id);
    }
    allow(store_objects_left(store, NULL, take_object, NULL, &err));
    allow(store_events(store, NULL, 0, 0, take_event, NULL, &err));
    allow(store_events_prune(store, 10, NULL, &err));
    allow(store_migration_delete(store, "m1", &err));
    allow(create("fresh", JOB_QUEUED));
}

/* A few bytes, a page of zeroes, another page's content, or the end cut off. */
static void
damage(char *data, size_t *len)
{
    size_t pages = *len / 4096;
    char *page = data + 4096 * random_below(pages);
    switch (random_below(5)) {
    case 0:
        memset(page, 0, 4096);
        break;
    case 1:
        memmove(page, data + 4096 * random_below(pages), 4096);
        break;
    case 2:
        *len = random_below(*len);
        break;
    case 3: /* where the structure of a page is */
        for (int i = 0; i < 4; i++)
            page[random_below(40)] = (char)random_below(256);
        break;
    default:
        for (int i = 0; i < 20; i++)
            data[random_below(*len)] = (char)random_below(256);
        break;
    }
}

static void
write_file(const char *path, const char *data, size_t len)
{
    assert_ok(file_write_atomic(path, data, len, 0600, &err));
}

/* Each time as after a clean end, where nothing is looked through first, and as after a kill. */
static void
test_any_damage_is_an_error(void **state)
{
    (void)state;
    auto_free char *whole = NULL, *damaged = NULL;
    size_t len;
    char wal[300], lock[300];
    fill();
    store_close(store);
    store = NULL;
    snprintf(wal, sizeof wal, "%s-wal", store_path);
    snprintf(lock, sizeof lock, "%s-lock", store_path);
    assert_ok(file_read(store_path, 64 * MIB, &whole, &len, &err));
    damaged = malloc(len);
    assert_non_null(damaged);
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t damaged_len = len;
        seed = i;
        memcpy(damaged, whole, len);
        damage(damaged, &damaged_len);
        write_file(store_path, damaged, damaged_len);
        write_file(lock, "99999\n", i % 2 ? 6 : 0);
        unlink(wal);
        int r = store_open(store_path, &store, &err);
        allow(r);
        if (r == 0) {
            n_opened++;
            use_all();
        }
        store_close(store);
        store = NULL;
    }
    print_message("%u opened, %u calls failed\n", n_opened, n_failed);
    assert_true(n_opened > ROUNDS / 4);
    assert_true(n_failed > ROUNDS);
}

static void
test_damage_is_said_at_once_after_a_kill(void **state)
{
    (void)state;
    auto_free char *data = NULL;
    size_t len;
    char lock[300];
    fill();
    store_close(store);
    store = NULL;
    assert_ok(file_read(store_path, 64 * MIB, &data, &len, &err));
    memset(data + len - 4096, 0xee, 4096);
    write_file(store_path, data, len);
    assert_ok(store_open(store_path, &store, &err));
    store_close(store);
    store = NULL;
    snprintf(lock, sizeof lock, "%s-lock", store_path);
    for (int i = 0; i < 2; i++) { /* and again, until somebody has done something about it */
        write_file(lock, "99999\n", 6);
        assert_fails(store_open(store_path, &store, &err), ERR_IO, "the database is damaged (");
    }
}

/* What is after the damage in a WAL was never there; SQLite takes what is before it. */
static void
test_damaged_wal(void **state)
{
    (void)state;
    auto_free char *db_copy = NULL, *wal_copy = NULL;
    size_t db_len, wal_len;
    char wal[300], shm[300];
    fill();
    snprintf(wal, sizeof wal, "%s-wal", store_path);
    snprintf(shm, sizeof shm, "%s-shm", store_path);
    assert_ok(file_read(store_path, 64 * MIB, &db_copy, &db_len, &err));
    assert_ok(file_read(wal, 64 * MIB, &wal_copy, &wal_len, &err));
    store_close(store);
    store = NULL;
    for (unsigned i = 0; i < ROUNDS / 8; i++) {
        auto_free char *damaged = malloc(wal_len);
        assert_non_null(damaged);
        seed = i;
        memcpy(damaged, wal_copy, wal_len);
        for (int k = 0; k < 3; k++)
            damaged[random_below(wal_len)] ^= 0x5a;
        write_file(store_path, db_copy, db_len);
        write_file(wal, damaged, random_below(wal_len));
        unlink(shm);
        allow(store_open(store_path, &store, &err));
        if (store)
            use_all();
        store_close(store);
        store = NULL;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_any_damage_is_an_error),
        scratch_test(test_damage_is_said_at_once_after_a_kill),
        scratch_test(test_damaged_wal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
