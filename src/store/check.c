#include "store/check.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "model/vm.h"

static int check_put(const char *key, const char *value, struct err *err);
static int check_machine(const struct store_machine *machine, struct err *err);
static int check_disk(const struct store_disk *disk, struct err *err);
static int check_round(const struct store_round *round, struct err *err);
static int check_round_disk(const struct store_round_disk *disk, struct err *err);
static int check_object(const struct store_object *object, struct err *err);
static int refuse_twice(int64_t key, struct err *err);
static int check_count(const char *what, size_t n, size_t max, struct err *err);
static int check_number(const char *what, uint64_t number, struct err *err);
static int check_status(enum job_status status, struct err *err);
static int check_json(const char *what, const char *text, struct err *err);

int
check_id(const char *id, struct err *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t len = id ? strnlen(id, STORE_ID_MAX + 1) : 0;
    if (len == 0 || len > STORE_ID_MAX || strspn(id, letters) != len)
        return err_set(err, ERR_INVALID, "'%.*s': an id has 1 to %d letters, digits, '-' or '_'",
                       (int)len, id ? id : "", STORE_ID_MAX);
    return 0;
}

int
check_name(const char *what, const char *name, struct err *err)
{
    size_t len = name ? strnlen(name, STORE_NAME_MAX + 1) : 0;
    if (len == 0 || len > STORE_NAME_MAX)
        return err_set(err, ERR_INVALID, "%s is %s: it has 1 to %d bytes", what,
                       len ? "too long" : "empty", STORE_NAME_MAX);
    return 0;
}

int
check_text(const char *what, const char *text, struct err *err)
{
    if (text && strnlen(text, STORE_TEXT_MAX + 1) > STORE_TEXT_MAX)
        return err_set(err, ERR_INVALID, "%s is longer than %zu bytes", what, STORE_TEXT_MAX);
    return 0;
}

int
check_migration(const struct store_migration *migration, struct err *err)
{
    const struct {
        const char *what, *name;
    } names[] = {
        { "the name", migration->name },       { "the moref", migration->moref },
        { "the uuid", migration->uuid },       { "the server", migration->server },
        { "the host", migration->host },       { "the question", migration->question },
        { "the choice", migration->shutdown },
    };
    if (check_id(migration->id, err) < 0 || check_name("the key", migration->key, err) < 0 ||
        check_json("the spec", migration->spec, err) < 0 ||
        check_json("the job", migration->job, err) < 0 ||
        check_text("the error", migration->error, err) < 0 ||
        check_status(migration->status, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].name && check_name(names[i].what, names[i].name, err) < 0)
            return -1;
    return 0;
}

int
check_change(const struct store_change *change, struct err *err)
{
    if ((change->has_status && check_status(change->status, err) < 0) ||
        (change->has_job && check_json("the job", change->job, err) < 0) ||
        check_text("the error", change->error, err) < 0 ||
        check_text("the question", change->question, err) < 0)
        return -1;
    return check_text("the choice", change->shutdown, err);
}

int
check_op(const struct store_op *op, struct err *err)
{
    switch (op->kind) {
    case STORE_PUT:
        return check_put(op->put.key, op->put.value, err);
    case STORE_STAGE:
        return check_name("the stage", op->stage, err);
    case STORE_MACHINE:
        return check_machine(&op->machine, err);
    case STORE_ROUND:
        return check_round(&op->round, err);
    case STORE_OBJECT:
        return check_object(&op->object, err);
    case STORE_CLEAR_WISHES:
        return 0;
    }
    return err_set(err, ERR_INVALID, "%d: no such operation", (int)op->kind);
}

/* The key stands between quotes when the state is given back. */
static int
check_put(const char *key, const char *value, struct err *err)
{
    if (check_name("the key", key, err) < 0)
        return -1;
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\')
            return err_set(err, ERR_INVALID,
                           "a key of the state has a quote, a backslash or a control character");
    return check_text("the value", value, err);
}

static int
check_machine(const struct store_machine *machine, struct err *err)
{
    const char *const names[] = { machine->name, machine->moref, machine->uuid, machine->server,
                                  machine->host };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i] && strlen(names[i]) > STORE_NAME_MAX)
            return err_set(err, ERR_INVALID, "a name of the machine is longer than %d bytes",
                           STORE_NAME_MAX);
    if (check_count("disks", machine->n_disks, VM_MAX_DISKS, err) < 0)
        return -1;
    for (size_t i = 0; i < machine->n_disks; i++) {
        if (check_disk(&machine->disks[i], err) < 0)
            return -1;
        for (size_t k = 0; k < i; k++)
            if (machine->disks[k].key == machine->disks[i].key)
                return refuse_twice(machine->disks[i].key, err);
    }
    return 0;
}

static int
check_disk(const struct store_disk *disk, struct err *err)
{
    if (check_name("the label of a disk", disk->label, err) < 0 ||
        check_number("the capacity of a disk", disk->capacity_bytes, err) < 0)
        return -1;
    return check_text("the image of a disk", disk->image, err);
}

static int
check_round(const struct store_round *round, struct err *err)
{
    if (check_name("the kind of a round", round->kind, err) < 0 ||
        check_count("disks", round->n_disks, VM_MAX_DISKS, err) < 0)
        return -1;
    if (!isfinite(round->seconds) || round->seconds < 0)
        return err_set(err, ERR_INVALID, "the seconds of a round are no length of time");
    for (size_t i = 0; i < round->n_disks; i++) {
        if (check_round_disk(&round->disks[i], err) < 0)
            return -1;
        for (size_t k = 0; k < i; k++)
            if (round->disks[k].key == round->disks[i].key)
                return refuse_twice(round->disks[i].key, err);
    }
    return 0;
}

static int
check_round_disk(const struct store_round_disk *disk, struct err *err)
{
    if (check_number("the areas of a disk", disk->areas, err) < 0 ||
        check_number("the changed bytes of a disk", disk->changed_bytes, err) < 0 ||
        check_number("the read bytes of a disk", disk->read_bytes, err) < 0 ||
        check_number("the written bytes of a disk", disk->written_bytes, err) < 0)
        return -1;
    return check_text("the reason for a whole copy", disk->why, err);
}

static int
check_object(const struct store_object *object, struct err *err)
{
    if (check_name("the kind of an object", object->kind, err) < 0 ||
        check_name("the name of an object", object->name, err) < 0)
        return -1;
    if (!store_object_state_name(object->state))
        return err_set(err, ERR_INVALID, "%d: no such state of an object", (int)object->state);
    return check_text("the detail of an object", object->detail, err);
}

int
check_event(const struct store_event *event, struct err *err)
{
    if ((event->migration && check_id(event->migration, err) < 0) ||
        check_name("the level of an event", event->level, err) < 0 ||
        (event->code && check_name("the code of an event", event->code, err) < 0))
        return -1;
    if (!event->text)
        return err_set(err, ERR_INVALID, "an event without a text");
    return check_text("the text of an event", event->text, err);
}

static int
refuse_twice(int64_t key, struct err *err)
{
    return err_set(err, ERR_INVALID, "the disk %" PRId64 " is there twice", key);
}

static int
check_count(const char *what, size_t n, size_t max, struct err *err)
{
    if (n > max)
        return err_set(err, ERR_INVALID, "%zu %s: %zu are the most", n, what, max);
    return 0;
}

static int
check_number(const char *what, uint64_t number, struct err *err)
{
    if (number > INT64_MAX)
        return err_set(err, ERR_INVALID, "%s: %" PRIu64 " is too large", what, number);
    return 0;
}

static int
check_status(enum job_status status, struct err *err)
{
    if ((unsigned)status >= N_JOB_STATUS)
        return err_set(err, ERR_INVALID, "%d: no such status", (int)status);
    return 0;
}

static int
check_json(const char *what, const char *text, struct err *err)
{
    if (!text)
        return err_set(err, ERR_INVALID, "%s is missing", what);
    return check_text(what, text, err);
}
